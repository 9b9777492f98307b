/**
 * Error rates of comparisons (ISO/IEC 19795-1) from their scores. Scores are whole numbers, higher means more similar.
 * A comparison matches at a threshold when its score is at least the threshold. Scores below MIN_THRESHOLD never match:
 * they stand for "no alignment" and for failures to compare.
 */

/** Score 0 means that no alignment was found. */
export const MIN_THRESHOLD = 1;

/** Scores in descending order. */
export interface Scores {
  readonly mated: Int32Array;
  readonly nonMated: Int32Array;
}

/** Weight of each comparison, in the order of the scores; for estimates from resampled comparisons. */
export interface Weights {
  readonly mated: ArrayLike<number>;
  readonly nonMated: ArrayLike<number>;
  /** Sums of the weights. */
  readonly matedTotal: number;
  readonly nonMatedTotal: number;
}

export interface OperatingPoint {
  /** The lowest threshold whose false match rate does not exceed the requested one. */
  readonly threshold: number;
  /** False non-match rate at this threshold, 0 to 1. */
  readonly fnmr: number;
}

export interface ErrorRates {
  /** Equal error rate, 0 to 1: the mean of FMR and FNMR where they are closest. */
  readonly eer: number;
  /** One per requested false match rate; undefined where there are fewer than 1/FMR non-mated comparisons. */
  readonly points: readonly (OperatingPoint | undefined)[];
}

/** @param mated - mated comparison scores, in any order @param nonMated - non-mated comparison scores */
export function sortScores(mated: Iterable<number>, nonMated: Iterable<number>): Scores {
  return { mated: Int32Array.from(mated).sort().reverse(), nonMated: Int32Array.from(nonMated).sort().reverse() };
}

/**
 * One pass down the scores, as far as the requested rates need it.
 * @param falseMatchRates - 0 to 1, ascending; 0 requests the threshold above every non-mated comparison
 * @throws RangeError when there are no mated or no non-mated comparisons, or the rates do not ascend
 */
export function errorRates(scores: Scores, falseMatchRates: readonly number[], weights?: Weights): ErrorRates {
  const { mated, nonMated } = scores;
  const matedTotal = weights?.matedTotal ?? mated.length;
  const nonMatedTotal = weights?.nonMatedTotal ?? nonMated.length;
  if (!(matedTotal > 0 && nonMatedTotal > 0)) throw new RangeError('rates need mated and non-mated comparisons');
  if (falseMatchRates.some((rate, i) => i > 0 && rate < falseMatchRates[i - 1])) throw new RangeError('rates ascend');
  const points: OperatingPoint[] = [];
  let [i, j, matches, falseMatches] = [0, 0, 0, 0];
  let [eer, nearest, crossed] = [0.5, 1, false];
  while (points.length < falseMatchRates.length || !crossed) {
    const score = Math.max(mated[i] ?? -Infinity, nonMated[j] ?? -Infinity);
    if (score < MIN_THRESHOLD) break;
    const fnmrAbove = (matedTotal - matches) / matedTotal;
    for (; i < mated.length && mated[i] === score; i++) matches += weights?.mated[i] ?? 1;
    for (; j < nonMated.length && nonMated[j] === score; j++) falseMatches += weights?.nonMated[j] ?? 1;
    while (
      points.length < falseMatchRates.length &&
      exceeds(falseMatches, falseMatchRates[points.length] * nonMatedTotal)
    ) {
      points.push({ threshold: score + 1, fnmr: fnmrAbove });
    }
    const [fnmr, fmr] = [(matedTotal - matches) / matedTotal, falseMatches / nonMatedTotal];
    crossed = fnmr <= fmr;
    if (Math.abs(fnmr - fmr) < nearest) {
      nearest = Math.abs(fnmr - fmr);
      eer = (fnmr + fmr) / 2;
    }
  }
  while (points.length < falseMatchRates.length) {
    points.push({ threshold: MIN_THRESHOLD, fnmr: (matedTotal - matches) / matedTotal });
  }
  return {
    eer,
    points: points.map((point, r) => (isMeasurable(falseMatchRates[r], nonMated.length) ? point : undefined)),
  };
}

/** Whether there are enough non-mated comparisons to measure a false match rate: the rate allows at least one match. */
export function isMeasurable(falseMatchRate: number, comparisons: number): boolean {
  return falseMatchRate === 0 || !exceeds(1, falseMatchRate * comparisons);
}

/** Compares a sum of whole weights with a product of decimal fractions, tolerant of rounding. */
function exceeds(count: number, allowed: number): boolean {
  return count > allowed + 1e-9;
}

export interface DetPoint {
  readonly threshold: number;
  /** 0 to 1. */
  readonly fmr: number;
  readonly fnmr: number;
}

/** The detection error trade-off: both rates at every occurring score, from the highest threshold to the lowest. */
export function detCurve({ mated, nonMated }: Scores): DetPoint[] {
  const curve: DetPoint[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const threshold = Math.max(mated[i] ?? -Infinity, nonMated[j] ?? -Infinity);
    if (threshold < MIN_THRESHOLD) return curve;
    while (i < mated.length && mated[i] === threshold) i++;
    while (j < nonMated.length && nonMated[j] === threshold) j++;
    curve.push({ threshold, fmr: j / nonMated.length, fnmr: (mated.length - i) / mated.length });
  }
}
