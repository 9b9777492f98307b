import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fpirOf,
  fuseLog10Rates,
  log10OfAny,
  log10OfEach,
  roundLog10,
  thresholdFor,
} from '../../src/matching/rates/fusion.ts';

const log10Rate = fc.double({ min: -12, max: 0, noNaN: true });

describe('fusing the false match rates of samples', () => {
  it('returns the rate of a single sample unchanged', () => {
    fc.assert(
      fc.property(log10Rate, (rate) => {
        expect(fuseLog10Rates([rate])).toBeCloseTo(rate, 2);
      }),
    );
  });

  it('is the probability that two uniform numbers have a product this small: p(1 − ln p)', () => {
    for (const [a, b] of [
      [0.01, 0.5],
      [0.001, 0.001],
      [0.2, 0.9],
    ] as const) {
      const product = a * b;
      const expected = Math.log10(product * (1 - Math.log(product)));
      expect(fuseLog10Rates([Math.log10(a), Math.log10(b)])).toBeCloseTo(expected, 3);
    }
  });

  it('does not depend on the order of the samples', () => {
    fc.assert(
      fc.property(fc.array(log10Rate, { minLength: 1, maxLength: 16 }), (rates) => {
        expect(fuseLog10Rates([...rates].reverse())).toBe(fuseLog10Rates(rates));
      }),
    );
  });

  it('never gets weaker when a sample gets stronger', () => {
    fc.assert(
      fc.property(
        fc.array(log10Rate, { minLength: 1, maxLength: 10 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (rates, gain) => {
          const stronger = [Math.max(-12, rates[0] - gain), ...rates.slice(1)];
          expect(fuseLog10Rates(stronger)).toBeLessThanOrEqual(fuseLog10Rates(rates));
        },
      ),
    );
  });

  it('is rounded to the nearest thousandth of a power of ten', () => {
    expect([-1.23449, -1.2345001, -0.0004, -0.0006, 0.3, -61].map(roundLog10)).toEqual([
      -1.234, -1.235, 0, -0.001, 0, -60,
    ]);
    fc.assert(
      fc.property(fc.array(log10Rate, { minLength: 1, maxLength: 16 }), (rates) => {
        const fused = fuseLog10Rates(rates);
        expect(fused).toBe(Number(fused.toFixed(3)));
      }),
    );
  });

  it('returns rate 1 for no samples, and stays within its bounds', () => {
    expect(fuseLog10Rates([])).toBe(0);
    expect(fuseLog10Rates(Array.from({ length: 16 }, () => -12))).toBe(-60);
    expect(Object.is(roundLog10(-0.0001), 0)).toBe(true);
  });
});

describe('rates over many comparisons', () => {
  it('is the rate times the number of comparisons when small', () => {
    expect(log10OfAny(-9, 1000)).toBeCloseTo(-6, 5);
    expect(log10OfAny(0, 5)).toBe(0);
    expect(fpirOf(-6, 1_000_000)).toBeCloseTo(1 - Math.exp(-1), 6);
    expect(fpirOf(-6, 0)).toBe(0);
  });

  it('is undone by its inverse', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -12, max: -0.01, noNaN: true }),
        fc.integer({ min: 1, max: 10_000_000 }),
        (rate, count) => {
          const any = log10OfAny(rate, count);
          fc.pre(any < -1e-6);
          expect(log10OfEach(any, count)).toBeCloseTo(rate, 6);
        },
      ),
    );
  });

  it('gives a threshold that never exceeds the target FPIR', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-9, max: 0.5, noNaN: true }),
        fc.integer({ min: 1, max: 50_000_000 }),
        (target, subjects) => {
          const delivered = fpirOf(thresholdFor(target, subjects), subjects);
          expect(delivered).toBeLessThanOrEqual(target * (1 + 1e-9));
          expect(delivered).toBeGreaterThan(target * 0.99);
          // In thousandths, rounded down.
          const threshold = thresholdFor(target, subjects);
          expect(threshold).toBe(Number(threshold.toFixed(3)));
        },
      ),
    );
  });

  it('gives the target itself for one subject and for none', () => {
    for (const subjects of [0, 1]) expect(thresholdFor(0.01, subjects)).toBeCloseTo(-2, 3);
    expect(thresholdFor(0.01, 100)).toBe(-3.998);
    expect(thresholdFor(1e-9, 2 ** 31)).toBeGreaterThanOrEqual(-60);
  });

  it('returns no rate above 1, and none below the smallest', () => {
    for (const rate of [0, 0.5, 3]) {
      expect(log10OfAny(rate, 7)).toBe(0);
      expect(log10OfEach(rate, 7)).toBe(0);
    }
    expect(log10OfAny(-60, 1)).toBeCloseTo(-60, 6);
    expect(log10OfEach(-60, 1000)).toBeCloseTo(-63, 6);
  });
});
