/**
 * Trains the curves of the score's terms.
 *
 * A curve is parameterised by its rises from knot to knot: the ridge pulls it towards a constant, not towards zero, and
 * beyond the observed range it continues as a constant.
 */
import {
  FIRST_KNOTS,
  KNOT_COUNT,
  SCORE_TERMS,
  WEIGHTS_PER_POINT,
  WHOLE,
} from '../../src/matching/model/score-terms.ts';
import type { Alignments } from './comparisons.ts';
import { fitLogistic } from './ridge-logistic.ts';

/** Points for a factor of e in the odds. */
const POINTS_PER_LOGIT = 100;
/** Points of an alignment that is equally likely of mates and of non-mates. */
const EVEN_ODDS = 1000;

interface Column {
  /** Knots whose masses are summed. */
  readonly from: number;
  readonly to: number;
  /** The first knot counts once, the next twice, and so on: the height of a straight line. */
  readonly straight?: true;
}

/**
 * Components of a score. The shipped score has the curves of all terms. Other shapes measure the effect of components.
 */
export interface ScoreShape {
  /** Names of the terms used; the constant always is. */
  readonly terms: ReadonlySet<string>;
  /** Straight lines instead of curves; categories stay categories. */
  readonly straight: boolean;
}

export const FULL_SHAPE: ScoreShape = { terms: new Set(SCORE_TERMS.map(({ name }) => name)), straight: false };

/** Trained columns: for each term its categories, or its rises; for terms counted more than once also the count. */
function columnsOf({ terms, straight }: ScoreShape): Column[] {
  return SCORE_TERMS.flatMap(({ name, subject, knots, kinds }, t): Column[] => {
    const first = FIRST_KNOTS[t];
    const end = first + knots;
    if (subject === 'constant' || !terms.has(name)) return [];
    const each = Array.from({ length: knots }, (_, k) => first + k);
    if (kinds) return each.map((from) => ({ from, to: from + 1 }));
    const level = subject === 'alignment' ? [] : [{ from: first, to: end }];
    if (straight) return [...level, { from: first + 1, to: end, straight }];
    return [...level, ...each.slice(1).map((from) => ({ from, to: end }))];
  });
}

/** Factor of a knot in a column. */
function factorOf({ from, straight }: Column, knot: number): number {
  return straight ? knot - from + 1 : 1;
}

/** Weights that use only the agreement of the pairs: the start of training. */
export function plainWeights(): Int32Array {
  const weights = new Int32Array(KNOT_COUNT);
  const worth = SCORE_TERMS.findIndex(({ name }) => name === 'worth');
  for (let k = 0; k < SCORE_TERMS[worth].knots; k++) weights[FIRST_KNOTS[worth] + k] = 100 * k * WEIGHTS_PER_POINT;
  return weights;
}

/** With plainWeights, pairs of prints with this score are almost certainly mates. */
export const CERTAIN_POINTS = 1050;

export interface ScoreTraining {
  readonly ridge: number;
  readonly minDeviation: number;
}

/** @returns weights of the knots, sixteenths of points; zeros for unused terms */
export function learnWeights(
  alignments: Alignments,
  { ridge, minDeviation }: ScoreTraining,
  shape: ScoreShape = FULL_SHAPE,
): Int32Array {
  const { masses, labels, weights } = alignments;
  const columns = columnsOf(shape);
  const values = new Float32Array(labels.length * columns.length);
  for (let row = 0; row < labels.length; row++) {
    columns.forEach((column, c) => {
      let sum = 0;
      for (let k = column.from; k < column.to; k++) sum += factorOf(column, k) * masses[row * KNOT_COUNT + k];
      values[row * columns.length + c] = sum / WHOLE;
    });
  }
  const model = fitLogistic({ values, columns: columns.length, labels, weights }, ridge, minDeviation);
  const points = new Float64Array(KNOT_COUNT);
  columns.forEach((column, c) => {
    for (let k = column.from; k < column.to; k++)
      points[k] += POINTS_PER_LOGIT * model.coefficients[c] * factorOf(column, k);
  });
  points[0] = EVEN_ODDS + POINTS_PER_LOGIT * model.intercept;
  return Int32Array.from(points, (value) => Math.round(value * WEIGHTS_PER_POINT));
}
