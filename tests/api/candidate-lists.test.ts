import { expect, it } from 'vitest';
import { toCandidateLists } from '../../src/api/candidate-lists.ts';
import { CandidateListsState } from '../../src/contract/generated/ridgewatch/v1/operations.ts';

it('states measured lengths with the hit rate that they had, and fixed ones with none', () => {
  const shares = { ranked: 0.02, compared: 0.01 };
  const measured = { subjects: 90_000, trials: 400, hits: 398, hitRateLower: 0.98, isReached: true };
  expect(toCandidateLists({ kind: 'fingers', state: 'measured', shares, ...measured })).toEqual({
    probes: 'fingers',
    state: CandidateListsState.MEASURED,
    rankedShare: 0.02,
    comparedShare: 0.01,
    subjectCount: 90_000,
    probeCount: 400,
    hitCount: 398,
    hitRate: 0.995,
    hitRateLower: 0.98,
    targetReached: true,
  });
  const none = { subjects: 0, trials: 0, hits: 0, hitRateLower: 0, isReached: false };
  for (const [state, sent] of [
    ['fixed', CandidateListsState.FIXED],
    ['measuring', CandidateListsState.MEASURING],
  ] as const)
    expect(toCandidateLists({ kind: 'face', state, shares, ...none })).toMatchObject({ state: sent, hitRate: 0 });
});
