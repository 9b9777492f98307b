import { describe, expect, it } from 'vitest';
import { measureVariants } from '../../../bench/ablations/figures.ts';
import { ablateFolds, scoreOf } from '../../../bench/ablations/fold.ts';
import { TERM_GROUPS, VARIANTS } from '../../../bench/ablations/variants.ts';
import { syntheticPrints } from '../../../index-builder/prints/labelled-prints.ts';
import { alignAll, compareAll, packPrints } from '../../../index-builder/train/comparisons.ts';
import { validateFolds } from '../../../index-builder/train/cross-validation.ts';
import { PARAMETERS, prepareSet } from '../../../index-builder/train/model.ts';
import { FULL_SHAPE, learnWeights, plainWeights } from '../../../index-builder/train/score.ts';
import { FIRST_KNOTS, KNOT_COUNT, SCORE_TERMS, WEIGHTS_PER_POINT } from '../../../src/matching/model/score-terms.ts';
import { shippedFingerModel } from '../../../src/matching/model/shipped-model.ts';

const set = syntheticPrints(0xab1, 8, 3);
const batch = packPrints(set.list, shippedFingerModel());
const alignments = alignAll(set.list, batch);

const weightsOf = (weights: Int32Array, name: string) => {
  const t = SCORE_TERMS.findIndex((term) => term.name === name);
  return weights.subarray(FIRST_KNOTS[t], FIRST_KNOTS[t] + SCORE_TERMS[t].knots);
};

describe('the groups of terms', () => {
  it('contain every term except the constant exactly once', () => {
    const names = SCORE_TERMS.map(({ name }) => name).filter((name) => name !== 'constant');
    expect(Object.values(TERM_GROUPS).flat().sort()).toEqual(names.sort());
  });
});

describe('the score of the kept terms', () => {
  it('equals the kernel’s score', () => {
    const { weights } = shippedFingerModel();
    const expected = new Map<string, number>();
    compareAll(set.list, batch, (a, b, score) => expected.set(`${a},${b}`, score));
    alignments.labels.forEach((_, row) => {
      const masses = alignments.masses.subarray(row * KNOT_COUNT, (row + 1) * KNOT_COUNT);
      const pair = [...alignments.pairs.subarray(2 * row, 2 * row + 2)];
      expect(scoreOf(masses, weights)).toBe(expected.get(pair.join()));
    });
    expect(scoreOf(new Int32Array(KNOT_COUNT), weights)).toBe(1);
    expect(scoreOf(new Int32Array(KNOT_COUNT).fill(1e6), plainWeights())).toBe(65_535);
  });
});

describe('a variant of the score', () => {
  it('gives no points to omitted terms', () => {
    const terms = new Set([...FULL_SHAPE.terms].filter((name) => name !== 'worth'));
    const weights = learnWeights(alignments, PARAMETERS, { ...FULL_SHAPE, terms });
    expect(weightsOf(weights, 'worth').every((weight) => weight === 0)).toBe(true);
    expect(weightsOf(weights, 'code').some((weight) => weight !== 0)).toBe(true);
    expect(weights[0]).not.toBe(0);
  });

  it('with straight lines has equal steps, except for kinds', () => {
    const weights = learnWeights(alignments, PARAMETERS, { ...FULL_SHAPE, straight: true });
    for (const { name, kinds } of SCORE_TERMS) {
      if (kinds) continue;
      const line = weightsOf(weights, name);
      const rise = (line[line.length - 1] - line[0]) / (line.length - 1);
      // Each weight is rounded to a sixteenth of a point.
      line.forEach((weight, k) => expect(Math.abs(weight - line[0] - k * rise)).toBeLessThanOrEqual(1.5));
    }
    const rises = [...weightsOf(weights, 'worth')];
    expect(Math.max(...rises) - Math.min(...rises)).toBeGreaterThan(WEIGHTS_PER_POINT);
  });
});

describe('ablations of a pair of folds', () => {
  const real = [prepareSet(set)];
  const synthetic = [prepareSet(syntheticPrints(0xab2, 6, 3))];
  const [everything, , ...others] = VARIANTS;

  it.each([
    [0, 1],
    [2, 2],
  ])('give the full variant the scores of the cross-validation (%i, %i)', (a, b) => {
    // Codes are not learned: that is slow, and equal in both.
    const task = { parameters: { ...PARAMETERS, rounds: 0 }, folds: 4, a, b };
    const [[ours]] = ablateFolds({ real, synthetic }, task, [everything]);
    const [{ pairs, scores }] = validateFolds(real, synthetic, task);
    const isMated = (_: number, i: number) => set.list[pairs[2 * i]].finger === set.list[pairs[2 * i + 1]].finger;
    expect([...ours.mated].sort()).toEqual([...scores.filter(isMated)].sort());
    expect([...ours.nonMated].sort()).toEqual([...scores.filter((score, i) => !isMated(score, i))].sort());
  });

  it('compare the same pairs in every variant', () => {
    const last = others.filter(({ codes }) => codes !== 'learned');
    const task = { parameters: { ...PARAMETERS, rounds: 1 }, folds: 4, a: 1, b: 1 };
    const scores = ablateFolds({ real, synthetic }, task, last);
    expect(scores.map(([{ mated, nonMated }]) => [mated.length, nonMated.length])).toEqual([
      [6, 9],
      [6, 9],
      [6, 9],
    ]);
  });
});

describe('the figures', () => {
  const nonMated = Int32Array.from({ length: 1000 }, (_, i) => (i === 0 ? 50 : 10));
  const scores = (mated: number[]) => [{ mated: Int32Array.from(mated), nonMated }];

  it("count lost and won mates individually, at each variant's own threshold", () => {
    // Two folds, three variants, one set: 2 of the 2,000 non-mated comparisons may match at 10⁻³, so the threshold is
    // 11.
    const fold = [scores([5, 20, 30]), scores([20, 5, 30]), scores([0, 0, 30])];
    const figures = measureVariants([fold, fold]);
    expect(figures.map(([{ mated, nonMated: strangers, lost, won }]) => [mated, strangers, lost, won])).toEqual([
      [6, 2000, 0, 0],
      [6, 2000, 2, 2],
      [6, 2000, 2, 0],
    ]);
    expect(figures[2][0].falseNonMatchRates).toEqual([undefined, 4 / 6]);
  });
});
