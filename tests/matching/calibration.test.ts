import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Calibration } from '../../src/matching/rates/calibration.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { scoreOfCosineOne } from '../../src/matching/kernels/similarity.ts';
import faceTable from '../../src/matching/rates/calibration/face.json' with { type: 'json' };
import fingerTable from '../../src/matching/rates/calibration/finger.json' with { type: 'json' };
import { kernelHash } from '../../src/matching/kernels/kernels.ts';

describe.each([
  ['finger', SHIPPED_CALIBRATIONS.finger, 65_535],
  ['face', SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 512 }), 900_000],
  ['face of another dimension', SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 256 }), 450_000],
])('the calibration of a %s', (_, calibration, most) => {
  it('never gives a lower score a lower rate, and stays within its range', () => {
    fc.assert(
      fc.property(fc.integer({ min: -most, max: most }), fc.integer({ min: 0, max: most }), (score, more) => {
        const lower = calibration.rate(score).log10Fmr;
        const higher = calibration.rate(score + more).log10Fmr;
        expect(higher).toBeLessThanOrEqual(lower);
        expect(lower).toBeLessThanOrEqual(0);
        expect(higher).toBeGreaterThanOrEqual(-12);
      }),
    );
  });

  it('returns the lowest score of a rate', () => {
    for (const rate of [-1, -2.5, -4, -8]) {
      const score = calibration.scoreAt(rate);
      expect(calibration.rate(score).log10Fmr).toBeLessThanOrEqual(rate);
      expect(calibration.rate(score - 1).log10Fmr).toBeGreaterThan(rate);
    }
  });
});

describe('a calibration', () => {
  const table = {
    version: 'v',
    scores: [0, 100, 200],
    milliLog10Fmr: [0, -1000, -3000],
    measuredTo: 100,
    milliLog10PerStep: -10,
  };

  it('interpolates between entries, follows the slope beyond them, and marks extrapolated rates', () => {
    const calibration = new Calibration(table);
    expect([-5, 50, 100, 150, 250, 5000].map((score) => calibration.rate(score))).toEqual([
      { log10Fmr: 0, extrapolated: false },
      { log10Fmr: -0.5, extrapolated: false },
      { log10Fmr: -1, extrapolated: false },
      { log10Fmr: -2, extrapolated: true },
      { log10Fmr: -3.5, extrapolated: true },
      { log10Fmr: -12, extrapolated: true },
    ]);
  });

  it('is marked as extrapolated throughout for a model that it was not made from', () => {
    expect(SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 256 }).rate(0).extrapolated).toBe(true);
    expect(SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 512 }).rate(0).extrapolated).toBe(false);
  });
});

describe('the calibration of faces', () => {
  const entry = (cosine: number) => faceTable.milliLog10Fmr[faceTable.scores.indexOf(10_000 * cosine)] / 1000;

  it('depends on the cosine only, not on the unit of kernel scores', () => {
    // Kernel score of two equal faces of 512 components, in units of 4.5 / sqrt(512) of the unit vector.
    const one = 127 ** 2 * (512 / 4.5 ** 2);
    expect(scoreOfCosineOne(512)).toBeCloseTo(one, 6);
    const calibration = SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 512 });
    const cosines = faceTable.scores.filter((score) => score % 500 === 0 && score <= faceTable.measuredTo);
    expect(cosines.length).toBeGreaterThan(5);
    for (const score of cosines)
      expect(calibration.rate((score / 10_000) * one).log10Fmr).toBeCloseTo(entry(score / 10_000), 2);
    // Equal cosines with half as many components.
    const half = SHIPPED_CALIBRATIONS.face({ modelId: 'model', dimension: 256 });
    for (const score of cosines)
      expect(half.rate(((score / 10_000) * one) / 2).log10Fmr).toBeCloseTo(entry(score / 10_000), 2);
  });
});

it('the finger calibration was made with the present kernels', () => {
  expect(fingerTable.kernel).toBe(kernelHash());
});
