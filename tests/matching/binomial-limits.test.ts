import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';

describe('binomial limits', () => {
  it('equal the tabulated Clopper–Pearson limits', () => {
    const tabulated = [
      [0, 10, 0, 0.3085],
      [1, 10, 0.0025, 0.445],
      [5, 10, 0.1871, 0.8129],
      [0, 100, 0, 0.0362],
    ] as const;
    for (const [events, trials, low, high] of tabulated) {
      const limits = binomialLimits(events, trials);
      expect(limits[0]).toBeCloseTo(low, 4);
      expect(limits[1]).toBeCloseTo(high, 4);
    }
  });

  it('without an event end at the rate at which no event has a probability of 2.5 %', () => {
    for (const trials of [1, 7, 250, 100_000]) {
      const [low, high] = binomialLimits(0, trials);
      expect(low).toBe(0);
      expect(high).toBeCloseTo(1 - 0.025 ** (1 / trials), 12);
    }
  });

  it('contain the observed share, and mirror those of the complementary events', () => {
    const trial = fc.integer({ min: 1, max: 400 }).chain((trials) => fc.tuple(fc.nat(trials), fc.constant(trials)));
    fc.assert(
      fc.property(trial, ([events, trials]) => {
        const [low, high] = binomialLimits(events, trials);
        const share = events / trials;
        expect(low <= share && share <= high).toBe(true);
        const [otherLow, otherHigh] = binomialLimits(trials - events, trials);
        expect(1 - otherHigh).toBeCloseTo(low, 9);
        expect(1 - otherLow).toBeCloseTo(high, 9);
      }),
    );
  });
});
