/**
 * Refuses embeddings that no model makes. Probes of one or few components, of few values, or of one value everywhere
 * read a stored template out component by component; and a hill climber begins with them. Nothing is assumed of the
 * model but that its components look like those of many independent sources: see `FaceSpectrum` for what a gallery's
 * own faces teach.
 *
 * All limits are on ratios of the quantised values, so the length that was sent does not matter. For a unit vector of
 * independent normal components in d dimensions the kurtosis is 3 ± √(24/d): 3 ± 0.6 at the smallest dimension, 64.
 */
import { Failure } from '../failure.ts';
import type { FaceTemplate } from './face-template.ts';

/** Of the components: 1 for equal magnitudes, 1.8 for a flat distribution. Real faces of 512 components: 2.4 to 4.4. */
const MIN_KURTOSIS = 1.5;
/** d/k for k equal components and zeros: at 8, an eighth of the components has all the length. */
const MAX_KURTOSIS = 8;
/**
 * The same for few components, as (limit - 3)·√d: one large component of 64 lifts the kurtosis of a normal distribution
 * over 8 in 4 of 100,000 embeddings. 12 at 64 dimensions; without effect from 256 on.
 */
const SPREAD_OF_KURTOSIS = 72;
/** Share of zeros, of the commonest value: a normal distribution has 0.014, real faces at most 0.041. */
const MAX_SHARE_OF_A_VALUE = 0.2;
/** Distinct values: a normal distribution has about 50 of 64 components and 125 of 512, real faces at least 113. */
const MIN_DISTINCT_VALUES = 16;
/** Share of the length common to all components: 0.64 for a model without negative components, real faces 0.03. */
const COMMON_SHARE_WITHOUT_SIGNS = 2 / Math.PI;
/** How far above that share the limit is, times √d. Its standard deviation is 0.33/√d: the limit is six of them away. */
const SPREAD_OF_COMMON_SHARE = 2;
/**
 * Correlation of neighbouring components, as a share: normal components have 0 ± 1/√d, 0.125 at 64 components; ramps and
 * waves are near 1. A model's components have no order.
 */
const MAX_NEIGHBOUR_CORRELATION = 0.75;

/**
 * Whether a model may have made an embedding.
 * @param values - quantised components, see FaceTemplate
 */
export function isPlausibleFace(values: Int8Array): boolean {
  const d = values.length;
  const counts = new Uint16Array(256);
  let [sum, squares, fourths] = [0, 0, 0];
  for (const value of values) {
    sum += value;
    squares += value * value;
    fourths += value ** 4;
    counts[value + 128]++;
  }
  if (squares === 0) return false;
  const kurtosis = (d * fourths) / (squares * squares);
  const spread = 1 / Math.sqrt(d);
  if (kurtosis < MIN_KURTOSIS || kurtosis > Math.max(MAX_KURTOSIS, 3 + SPREAD_OF_KURTOSIS * spread)) return false;
  let [commonest, distinct] = [0, 0];
  for (const count of counts) {
    if (count > 0) distinct++;
    if (count > commonest) commonest = count;
  }
  if (commonest > MAX_SHARE_OF_A_VALUE * d || distinct < MIN_DISTINCT_VALUES) return false;
  const maxCommonShare = COMMON_SHARE_WITHOUT_SIGNS + SPREAD_OF_COMMON_SHARE * spread;
  if ((sum * sum) / d > maxCommonShare * squares) return false;
  return neighbourCorrelation(values, sum / d, squares - (sum * sum) / d) <= MAX_NEIGHBOUR_CORRELATION;
}

/** @throws Failure SAMPLE_IMPLAUSIBLE with the field `data`, see `isPlausibleFace` */
export function requirePlausibleFace({ values }: Pick<FaceTemplate, 'values'>): void {
  if (!isPlausibleFace(values)) throw implausible();
}

/** The refusal says nothing of how far off a sample is: that would lead an attacker to the limit. */
export function implausible(): Failure {
  return new Failure('invalid-argument', 'SAMPLE_IMPLAUSIBLE', 'No face model makes an embedding like this one.', {
    field: 'data',
  });
}

function neighbourCorrelation(values: Int8Array, mean: number, variance: number): number {
  let products = 0;
  for (let i = 1; i < values.length; i++) products += (values[i - 1] - mean) * (values[i] - mean);
  return variance > 0 ? Math.abs(products) / variance : 1;
}
