import { minSum } from '../workers/shortlister.ts';
import type { SearchRun, SearchTarget } from './candidate-source.ts';
import type { FirstComparisons } from './chosen-comparisons.ts';
import { exactShortlist } from './exact-scan.ts';

/**
 * Proposes the best of the subjects that codes and vectors rank first, before the others are compared.
 * @param faceDirections - see Proposal
 * @returns called with the comparisons with these subjects; undefined: the run wants no early proposal
 */
export function earlyProposals(
  { view, early }: SearchRun,
  { maxCandidates, thresholdLog10 }: SearchTarget,
  faceDirections: string | undefined,
): ((first: FirstComparisons) => Promise<boolean>) | undefined {
  if (early === undefined) return undefined;
  return ({ rates, known, compared, subjects: count }) => {
    const subjects = view.subjectsWithOrdinals(rates.best(exactShortlist(maxCandidates), minSum(thresholdLog10)));
    const share = Math.min(1, count / Math.max(1, view.subjectsInScope));
    const facts = { mode: 'indexed', way: 'codes', penetration: share, searchedFraction: share } as const;
    return early({ ...facts, subjects, compared: [...compared], known, faceDirections });
  };
}
