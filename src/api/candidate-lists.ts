import type { ListFigures } from '../matching/tuning/list-tuning.ts';
import { CandidateListsState, type CandidateLists } from '../contract/generated/ridgewatch/v1/operations.ts';

const STATES: Record<ListFigures['state'], CandidateListsState> = {
  fixed: CandidateListsState.FIXED,
  measuring: CandidateListsState.MEASURING,
  measured: CandidateListsState.MEASURED,
};

/** Converts the list lengths of one kind of probes to the contract's message. */
export function toCandidateLists(figures: ListFigures): CandidateLists {
  const { kind, state, shares, subjects, trials, hits, hitRateLower, isReached } = figures;
  return {
    probes: kind,
    state: STATES[state],
    rankedShare: shares.ranked,
    comparedShare: shares.compared,
    subjectCount: subjects,
    probeCount: trials,
    hitCount: hits,
    hitRate: trials === 0 ? 0 : hits / trials,
    hitRateLower,
    targetReached: isReached,
  };
}
