import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { detCurve, errorRates, sortScores } from '../../../index-builder/statistics/error-rates.ts';
import { heldOutRates } from '../../../index-builder/train/held-out.ts';
import { syntheticPrints } from '../../../index-builder/prints/labelled-prints.ts';

const FAILURE = -(2 ** 31);
const scores = fc.array(fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constant(FAILURE)), {
  minLength: 1,
  maxLength: 60,
});
const RATES = [0, 0.01, 0.05, 0.1, 0.5, 1];

/** The literal definitions: every threshold is tried. */
function slowRates(mated: readonly number[], nonMated: readonly number[]) {
  const thresholds = Array.from({ length: 61 }, (_, i) => i + 1);
  const share = (list: readonly number[], threshold: number) => list.filter((s) => s >= threshold).length / list.length;
  const points = RATES.map((rate) => {
    if (rate > 0 && nonMated.length * rate < 1 - 1e-9) return undefined;
    const threshold = thresholds.find((t) => share(nonMated, t) <= rate + 1e-12) ?? 0;
    return { threshold, fnmr: 1 - share(mated, threshold) };
  });
  const nearest = thresholds
    .map((t) => [1 - share(mated, t), share(nonMated, t)])
    .map(([fnmr, fmr]) => ({ difference: Math.abs(fnmr - fmr), eer: (fnmr + fmr) / 2 }));
  const least = Math.min(...nearest.map(({ difference }) => difference));
  return { points, eers: nearest.filter(({ difference }) => difference < least + 1e-12).map(({ eer }) => eer) };
}

describe('error rates', () => {
  it('equal those of an example computed by hand', () => {
    // 10 mated comparisons, one of which failed; 100 non-mated ones: one of 50, nine of 20, the others of 0.
    const mated = [90, 80, 70, 60, 50, 40, 30, 20, 10, FAILURE];
    const nonMated = [50, ...Array<number>(9).fill(20), ...Array<number>(90).fill(0)];
    const { eer, points } = errorRates(sortScores(mated, nonMated), [0, 0.001, 0.01, 0.1]);
    expect(points).toEqual([
      // From 51: 90, 80, 70, 60 match.
      { threshold: 51, fnmr: 0.6 },
      // A thousandth of 100 comparisons is less than one.
      undefined,
      // The one of 50 may match, those of 20 may not: 90 to 30 match.
      { threshold: 21, fnmr: expect.closeTo(0.3) as number },
      // All ten may match, those of 0 never do: all but the failed comparison match.
      { threshold: 1, fnmr: expect.closeTo(0.1) as number },
    ]);
    // At 10: FNMR 1 of 10, FMR 10 of 100.
    expect(eer).toBeCloseTo(0.1);
  });

  it('follow the definitions for any scores, in any order', () => {
    fc.assert(
      fc.property(scores, scores, (mated, nonMated) => {
        const rates = errorRates(sortScores(mated, nonMated), RATES);
        const slow = slowRates(mated, nonMated);
        rates.points.forEach((point, i) => {
          expect(point?.fnmr).toEqual(slow.points[i] && expect.closeTo(slow.points[i].fnmr, 9));
          expect(point?.threshold).toBe(slow.points[i]?.threshold);
        });
        expect(slow.eers.some((eer) => Math.abs(eer - rates.eer) < 1e-9)).toBe(true);
        expect(errorRates(sortScores(mated.toReversed(), nonMated.toReversed()), RATES)).toEqual(rates);
      }),
    );
  });

  it('fall as more false matches are allowed, and as mated scores rise', () => {
    fc.assert(
      fc.property(scores, scores, fc.integer({ min: 0, max: 20 }), (mated, nonMated, more) => {
        const { points } = errorRates(sortScores(mated, nonMated), RATES);
        const known = points.filter((point) => point !== undefined);
        known.slice(1).forEach((point, i) => {
          expect(point.fnmr).toBeLessThanOrEqual(known[i].fnmr);
          expect(point.threshold).toBeLessThanOrEqual(known[i].threshold);
        });
        const better = errorRates(
          sortScores(
            mated.map((s) => s + more),
            nonMated,
          ),
          RATES,
        ).points;
        better.forEach((point, i) => expect(point?.fnmr ?? 0).toBeLessThanOrEqual((points[i]?.fnmr ?? 0) + 1e-12));
        const curve = detCurve(sortScores(mated, nonMated));
        curve.slice(1).forEach((point, i) => {
          expect(point.threshold).toBeLessThan(curve[i].threshold);
          expect(point.fmr).toBeGreaterThanOrEqual(curve[i].fmr);
          expect(point.fnmr).toBeLessThanOrEqual(curve[i].fnmr);
        });
      }),
    );
  });

  it('count a comparison of weight n as n comparisons', () => {
    const weights = { mated: [2, 1, 0], nonMated: [1, 3], matedTotal: 3, nonMatedTotal: 4 };
    const weighted = errorRates(sortScores([9, 5, 2], [5, 1]), [0, 0.5], weights);
    expect(weighted).toEqual(errorRates(sortScores([9, 9, 5], [5, 1, 1, 1]), [0, 0.5]));
  });

  it('are undefined without comparisons', () => {
    expect(() => errorRates(sortScores([], [1]), [0])).toThrow(RangeError);
    expect(() => errorRates(sortScores([1], []), [0])).toThrow(RangeError);
    expect(() => errorRates(sortScores([1], [1]), [0.1, 0])).toThrow(RangeError);
  });

  it('are what a cross-validation reports', () => {
    const set = syntheticPrints(7, 2, 2);
    const pairs = Int32Array.from([0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3]);
    const validated = { name: 'made', pairs, scores: Int32Array.from([500, 1, 2, 3, 4, 0]) };
    expect(heldOutRates(set, validated)).toEqual({
      set: 'made',
      mated: 2,
      nonMated: 4,
      falseNonMatchRates: [undefined, undefined, undefined],
    });
  });
});
