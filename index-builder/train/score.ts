/**
 * Learns the curves of the score's terms.
 *
 * A curve is learned as its rises from knot to knot, so that the ridge pulls it towards a straight level, not towards
 * zero, and beyond what was ever seen it goes on level.
 */
import { FIRST_KNOTS, KNOT_COUNT, SCORE_TERMS, WEIGHTS_PER_POINT, WHOLE } from '../../src/matching/score-terms.ts';
import type { Alignments } from './comparisons.ts';
import { fitLogistic } from './ridge-logistic.ts';

/** Points for a factor of e in the odds. */
const POINTS_PER_LOGIT = 100;
/** Points of an alignment that is as likely of mates as of strangers. */
const EVEN_ODDS = 1000;

interface Column {
  /** Knots whose masses are added up. */
  readonly from: number;
  readonly to: number;
}

/** What is learned: for each term its kinds, or its rises; where it is counted more than once also how often. */
const COLUMNS: readonly Column[] = SCORE_TERMS.flatMap(({ subject, knots, kinds }, t): Column[] => {
  const first = FIRST_KNOTS[t];
  const end = first + knots;
  if (subject === 'constant') return [];
  const each = Array.from({ length: knots }, (_, k) => first + k);
  if (kinds) return each.map((from) => ({ from, to: from + 1 }));
  return each.slice(subject === 'alignment' ? 1 : 0).map((from) => ({ from, to: end }));
});

/** Weights that only look at how well the pairs agree: to begin with, when nothing has been learned. */
export function plainWeights(): Int32Array {
  const weights = new Int32Array(KNOT_COUNT);
  const worth = SCORE_TERMS.findIndex(({ name }) => name === 'worth');
  for (let k = 0; k < SCORE_TERMS[worth].knots; k++) weights[FIRST_KNOTS[worth] + k] = 100 * k * WEIGHTS_PER_POINT;
  return weights;
}

/** Points that plainWeights give to pairs that are mates almost for sure. */
export const CERTAIN_POINTS = 1050;

export interface ScoreTraining {
  readonly ridge: number;
  readonly smallestDeviation: number;
}

/** @returns weights of the knots, sixteenths of points */
export function learnWeights(alignments: Alignments, { ridge, smallestDeviation }: ScoreTraining): Int32Array {
  const { masses, labels, weights } = alignments;
  const values = new Float32Array(labels.length * COLUMNS.length);
  for (let row = 0; row < labels.length; row++) {
    COLUMNS.forEach(({ from, to }, c) => {
      let sum = 0;
      for (let k = from; k < to; k++) sum += masses[row * KNOT_COUNT + k];
      values[row * COLUMNS.length + c] = sum / WHOLE;
    });
  }
  const model = fitLogistic({ values, columns: COLUMNS.length, labels, weights }, ridge, smallestDeviation);
  const points = new Float64Array(KNOT_COUNT);
  COLUMNS.forEach(({ from, to }, c) => {
    for (let k = from; k < to; k++) points[k] += POINTS_PER_LOGIT * model.coefficients[c];
  });
  points[0] = EVEN_ODDS + POINTS_PER_LOGIT * model.intercept;
  return Int32Array.from(points, (value) => Math.round(value * WEIGHTS_PER_POINT));
}
