/**
 * What of a case a client may see now. An examiner looks at the probe before it sees the candidates (linear sequential
 * unmasking: Dror et al. 2015), and learns nothing of the other one before both have decided.
 */
import { analysesOf, EXAMINERS, hasEnded, isExaminer, stateAt, type Case, type CaseStep } from './case.ts';

/** A client that looks. */
export interface Viewer {
  readonly clientId: string;
  /** It may decide the case as an examiner: nothing but the state of the case keeps it from doing so. */
  readonly mayReview: boolean;
  /** It may decide where examiners disagree. */
  readonly mayResolve: boolean;
}

export interface CaseView {
  readonly showsProbe: boolean;
  readonly showsCandidates: boolean;
  readonly steps: readonly CaseStep[];
}

const NOTHING: CaseView = { showsProbe: false, showsCandidates: false, steps: [] };

/** @param now - a case whose time is up has expired */
export function viewOf(found: Case, viewer: Viewer, now: Date): CaseView {
  const state = stateAt(found, now);
  if (hasEnded(state)) return { showsProbe: false, showsCandidates: true, steps: found.steps };
  const isOne = isExaminer(found, viewer.clientId);
  if (isOne) return { showsProbe: true, showsCandidates: true, steps: ownOrAll(found, viewer.clientId) };
  if (state !== 'open')
    return viewer.mayResolve ? { showsProbe: true, showsCandidates: true, steps: found.steps } : NOTHING;
  if (!viewer.mayReview || analysesOf(found).length >= EXAMINERS) return NOTHING;
  return { ...NOTHING, showsProbe: true };
}

/** A conflict is there only when both have decided. A case that was handed over may have been decided by one. */
function ownOrAll({ state, steps }: Case, clientId: string): readonly CaseStep[] {
  return state === 'conflict' ? steps : steps.filter((step) => step.clientId === clientId);
}
