/**
 * Confidence limits of error rates. Comparisons that share a finger are not independent; therefore fingers are drawn
 * instead of comparisons: the subset bootstrap (Bolle, Ratha, Pankanti, "Error analysis of pattern recognition systems: the
 * subsets bootstrap", CVIU 2004; ISO/IEC 19795-1 names it). A finger that is drawn n times counts n times in its mated
 * comparisons, and a non-mated comparison counts by the product of its two fingers.
 */
import { Random } from '../../src/random.ts';
import { errorRates } from '../../index-builder/statistics/error-rates.ts';
import { resampledLimits, type Limits } from '../harness/limits.ts';
import { SEEDS } from '../harness/seeds.ts';
import type { FingerScores } from './finger-scores.ts';

const REPLICATES = 1000;

export interface RateLimits {
  readonly eer: Limits | undefined;
  /** One for each false match rate. */
  readonly fnmr: readonly (Limits | undefined)[];
}

/** @param falseMatchRates - ascending, as for errorRates @param replicates - how often fingers are drawn */
export function rateLimits(
  scores: FingerScores,
  falseMatchRates: readonly number[],
  replicates = REPLICATES,
): RateLimits {
  const { fingers, matedFingers, nonMatedFingers } = scores;
  const eers: number[] = [];
  const fnmrs = falseMatchRates.map((): number[] => []);
  const drawn = new Int32Array(fingers);
  const mated = new Int32Array(matedFingers.length);
  const nonMated = new Int32Array(nonMatedFingers.length / 2);
  for (let r = 0; r < replicates; r++) {
    const random = new Random(SEEDS.bootstrap, r);
    drawn.fill(0);
    for (let f = 0; f < fingers; f++) drawn[random.below(fingers)]++;
    let [matedTotal, nonMatedTotal] = [0, 0];
    for (let i = 0; i < mated.length; i++) matedTotal += mated[i] = drawn[matedFingers[i]];
    for (let i = 0; i < nonMated.length; i++) {
      nonMatedTotal += nonMated[i] = drawn[nonMatedFingers[2 * i]] * drawn[nonMatedFingers[2 * i + 1]];
    }
    // A draw of only one finger has no rate.
    if (matedTotal === 0 || nonMatedTotal === 0) continue;
    const rates = errorRates(scores, falseMatchRates, { mated, nonMated, matedTotal, nonMatedTotal });
    eers.push(rates.eer);
    rates.points.forEach((point, i) => point !== undefined && fnmrs[i].push(point.fnmr));
  }
  return { eer: resampledLimits(eers), fnmr: fnmrs.map(resampledLimits) };
}
