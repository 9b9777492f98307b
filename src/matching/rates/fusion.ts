/**
 * Fuses comparison scores to one false match rate per subject. All rates are log10 values: relevant rates lie far below
 * the smallest number that is accurate in 1 − (1 − p)^n in plain arithmetic.
 */

/** Reported resolution of log10 rates: a thousandth of a power of ten. */
const STEPS_PER_DECADE = 1000;
/** No rate below 10^-60 is ever claimed. */
export const MIN_LOG10_RATE = -60;

/** A candidate needs at least one score rarer than this among non-mated comparisons. */
export const FLOOR_LOG10_FMR = -1;

/** Rounds a log10 rate to the reported resolution, never above 0. */
export function roundLog10(log10Rate: number): number {
  const rounded = Math.round(Math.max(MIN_LOG10_RATE, Math.min(0, log10Rate)) * STEPS_PER_DECADE) / STEPS_PER_DECADE;
  return rounded === 0 ? 0 : rounded;
}

/**
 * The rate at which at least one of `count` independent comparisons is a false match: 1 − (1 − p)^count. Used where one
 * probe was compared with several references of a subject (finger position unknown) and the best score was kept.
 * @param log10Rate - log10 of p, at most 0
 * @param count - comparisons, at least 1
 * @returns log10 of the rate
 */
export function log10OfAny(log10Rate: number, count: number): number {
  if (log10Rate >= 0) return 0;
  // −expm1(count · log1p(−p)) stays accurate down to the smallest p, where it equals count · p.
  const rate = 10 ** log10Rate;
  return Math.min(0, Math.log10(-Math.expm1(count * Math.log1p(-rate))));
}

/** The inverse: the rate of one comparison at which `count` comparisons together have the given rate. */
export function log10OfEach(log10RateOfAny: number, count: number): number {
  if (log10RateOfAny >= 0) return 0;
  const rate = 10 ** log10RateOfAny;
  return Math.min(0, Math.log10(-Math.expm1(Math.log1p(-rate) / count)));
}

/**
 * Fisher's method (R. A. Fisher, Statistical Methods for Research Workers, 1925): the probability that k independent
 * non-mated samples are together at least as similar as these. With x = Σ −ln p_i the survival function of χ² with 2k
 * degrees of freedom is e^−x · Σ_{i<k} x^i / i!.
 *
 * The rates are summed in ascending order, so that the order of the samples cannot change the last bit.
 * @param log10Rates - log10 of the false match rate of each sample, at most 0
 * @returns log10 of the fused false match rate, rounded to thousandths; 0 for no samples
 */
export function fuseLog10Rates(log10Rates: readonly number[]): number {
  const ordered = [...log10Rates].sort((a, b) => a - b);
  let x = 0;
  for (const rate of ordered) x -= Math.min(0, rate) * Math.LN10;
  return ordered.length === 0 ? 0 : roundLog10((Math.log(fisherSeries(x, ordered.length)) - x) / Math.LN10);
}

/** Σ_{i<k} x^i / i!: multiplied by e^−x, the survival function of χ² with 2k degrees of freedom at 2x. */
export function fisherSeries(x: number, k: number): number {
  let term = 1;
  let sum = 1;
  for (let i = 1; i < k; i++) sum += term *= x / i;
  return sum;
}

/**
 * The false positive identification rate of a search: the probability that a non-mated search of this many subjects
 * returns at least one fused rate this low (ISO/IEC 19795-1: FPIR ≈ 1 − (1 − FMR)^N).
 * @returns 0 to 1
 */
export function fpirOf(log10Rate: number, subjectsSearched: number): number {
  if (subjectsSearched === 0) return 0;
  return Math.min(1, 10 ** log10OfAny(log10Rate, subjectsSearched));
}

/**
 * The threshold for a target FPIR: the highest fused rate of one subject.
 * @param targetFpir - above 0, below 1
 * @param subjectsSearched - subjects in scope
 * @returns log10, rounded down to thousandths so that the target is never exceeded
 */
export function thresholdFor(targetFpir: number, subjectsSearched: number): number {
  const exact = log10OfEach(Math.log10(targetFpir), Math.max(1, subjectsSearched));
  return Math.max(MIN_LOG10_RATE, Math.floor(exact * STEPS_PER_DECADE) / STEPS_PER_DECADE);
}
