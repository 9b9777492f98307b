import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PartialTime } from '../../src/matching/search/partial-time.ts';

const DEADLINE = 1_000_000;
/** The reserve for these remaining milliseconds. */
const reserved = (time: PartialTime, remaining: number) =>
  DEADLINE - (time.limits(DEADLINE, DEADLINE - remaining)?.scanUntilMs ?? NaN);

it('a search without a deadline has no limits', () => {
  expect(new PartialTime().limits(Infinity, 0)).toBeUndefined();
});

it('reserves a share of the remaining time, within limits, and half of that for the answer', () => {
  const time = new PartialTime();
  expect([10_000, 1000, 100, 10].map((remaining) => reserved(time, remaining))).toEqual([500, 250, 30, 30]);
  expect(time.limits(DEADLINE, DEADLINE - 1000)).toEqual({
    scanUntilMs: DEADLINE - 250,
    compareUntilMs: DEADLINE - 125,
  });
});

it('learns how long searches continue after the scan deadline, and forgets it', () => {
  const time = new PartialTime();
  const stopped = (afterMs: number) => {
    for (let i = 0; i < 50; i++) time.note({ scanUntilMs: 500, compareUntilMs: 600 }, 500 + afterMs);
  };
  stopped(100);
  expect(reserved(time, 400)).toBeCloseTo(200, 0);
  // Most of a short time is reserved, but not all.
  expect(reserved(time, 200)).toBeCloseTo(120, 6);
  // A search that ended before the limit changes nothing.
  stopped(-50);
  expect(reserved(time, 400)).toBeCloseTo(200, 0);
  stopped(5);
  expect(reserved(time, 400)).toBeCloseTo(100, 6);
});

it('never lets a search scan beyond its deadline, nor compare into the time for the answer', () => {
  const milliseconds = fc.integer({ min: -100, max: 100_000 });
  fc.assert(
    fc.property(fc.array(milliseconds), milliseconds, (after, remaining) => {
      const time = new PartialTime();
      for (const ms of after) time.note({ scanUntilMs: 0, compareUntilMs: 0 }, ms);
      const limits = time.limits(DEADLINE, DEADLINE - remaining);
      expect(limits?.scanUntilMs).toBeLessThanOrEqual(DEADLINE - 30);
      expect(limits?.scanUntilMs).toBeGreaterThanOrEqual(DEADLINE - 500);
      expect(limits?.compareUntilMs).toBeGreaterThan(limits?.scanUntilMs ?? NaN);
      expect(limits?.compareUntilMs).toBeLessThan(DEADLINE);
    }),
  );
});
