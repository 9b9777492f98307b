/** Statistics of the audit of indexed searches. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { figuresOf } from '../../src/matching/search/audit-figures.ts';

const counts = fc.integer({ min: 0, max: 100_000 }).chain((candidates) =>
  fc.record({
    candidates: fc.constant(candidates),
    missed: fc.integer({ min: 0, max: candidates }),
    searches: fc.integer({ min: candidates, max: 200_000 }),
  }),
);
const rate = fc.double({ min: 0.5, max: 0.9999, noNaN: true });

it('the target is missed only where more was missed than it allows, and more misses never meet it again', () => {
  fc.assert(
    fc.property(counts, rate, (given, target) => {
      const { missRate, missRateUpper, missesTarget } = figuresOf(given, target);
      expect(missRateUpper).toBeGreaterThanOrEqual(missRate);
      expect(missRateUpper).toBeLessThanOrEqual(1);
      if (missesTarget) expect(missRate).toBeGreaterThan(1 - target);
      const { candidates, missed } = given;
      const worse = { ...given, missed: Math.min(candidates, missed + 1) };
      if (missesTarget) expect(figuresOf(worse, target).missesTarget).toBe(true);
    }),
  );
});

it('the target is missed by one first candidate of ten, and by two of a thousand only among many', () => {
  const missesTarget = (missed: number, candidates: number) =>
    figuresOf({ searches: candidates, candidates, missed }, 0.999).missesTarget;
  expect(missesTarget(0, 0)).toBe(false);
  expect(figuresOf({ searches: 6, candidates: 6, missed: 6 }, 0.999)).toMatchObject({ missRate: 1, missRateUpper: 1 });
  expect(missesTarget(0, 1_000_000)).toBe(false);
  expect(missesTarget(1, 10)).toBe(true);
  expect(missesTarget(2, 1000)).toBe(false);
  expect(missesTarget(200, 100_000)).toBe(true);
});
