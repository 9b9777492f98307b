/** A summary of a cross-validation: `npm run bench -- accuracy --cross-validate` gives more. */
import { errorRates, sortScores } from '../statistics/error-rates.ts';
import type { PrintSet } from '../prints/labelled-prints.ts';
import { areMates } from '../prints/labelled-prints.ts';
import type { ValidatedSet } from './cross-validation.ts';

export interface HeldOutRates {
  readonly set: string;
  readonly mated: number;
  readonly nonMated: number;
  /** FNMR at each of FALSE_MATCH_RATES, as shares; undefined where there are too few comparisons. */
  readonly falseNonMatchRates: readonly (number | undefined)[];
}

export const FALSE_MATCH_RATES: readonly number[] = [1e-2, 1e-3, 1e-4];

/** @param set - the validated set */
export function heldOutRates({ list }: PrintSet, { name, pairs, scores }: ValidatedSet): HeldOutRates {
  const mated: number[] = [];
  const nonMated: number[] = [];
  scores.forEach((score, i) => (areMates(list[pairs[2 * i]], list[pairs[2 * i + 1]]) ? mated : nonMated).push(score));
  const ascending = FALSE_MATCH_RATES.toReversed();
  const { points } = errorRates(sortScores(mated, nonMated), ascending);
  return {
    set: name,
    mated: mated.length,
    nonMated: nonMated.length,
    falseNonMatchRates: points.map((point) => point?.fnmr).reverse(),
  };
}
