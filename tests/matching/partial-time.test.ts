import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PartialTime } from '../../src/matching/search/partial-time.ts';

const DEADLINE = 1_000_000;
/** What is kept of so many milliseconds. */
const reserved = (time: PartialTime, remaining: number) =>
  DEADLINE - (time.limits(DEADLINE, DEADLINE - remaining)?.lookUntilMs ?? NaN);

it('a search without a deadline has no limits', () => {
  expect(new PartialTime().limits(Infinity, 0)).toBeUndefined();
});

it('keeps a share of the time that is left, within limits, and half of that for the answer', () => {
  const time = new PartialTime();
  expect([10_000, 1000, 100, 10].map((remaining) => reserved(time, remaining))).toEqual([500, 250, 30, 30]);
  expect(time.limits(DEADLINE, DEADLINE - 1000)).toEqual({
    lookUntilMs: DEADLINE - 250,
    compareUntilMs: DEADLINE - 125,
  });
});

it('learns how long searches go on after they were to stop looking, and forgets it', () => {
  const time = new PartialTime();
  const stopped = (afterMs: number) => {
    for (let i = 0; i < 50; i++) time.note({ lookUntilMs: 500, compareUntilMs: 600 }, 500 + afterMs);
  };
  stopped(100);
  expect(reserved(time, 400)).toBeCloseTo(200, 0);
  // Of little time most is kept, but not all.
  expect(reserved(time, 200)).toBeCloseTo(120, 6);
  // Whoever was done before says nothing.
  stopped(-50);
  expect(reserved(time, 400)).toBeCloseTo(200, 0);
  stopped(5);
  expect(reserved(time, 400)).toBeCloseTo(100, 6);
});

it('never lets a search look beyond its deadline, nor compare beyond the time for the answer', () => {
  const milliseconds = fc.integer({ min: -100, max: 100_000 });
  fc.assert(
    fc.property(fc.array(milliseconds), milliseconds, (after, remaining) => {
      const time = new PartialTime();
      for (const ms of after) time.note({ lookUntilMs: 0, compareUntilMs: 0 }, ms);
      const limits = time.limits(DEADLINE, DEADLINE - remaining);
      expect(limits?.lookUntilMs).toBeLessThanOrEqual(DEADLINE - 30);
      expect(limits?.lookUntilMs).toBeGreaterThanOrEqual(DEADLINE - 500);
      expect(limits?.compareUntilMs).toBeGreaterThan(limits?.lookUntilMs ?? NaN);
      expect(limits?.compareUntilMs).toBeLessThan(DEADLINE);
    }),
  );
});
