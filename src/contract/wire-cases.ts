/** Wire form of cases. */
import {
  hasEnded,
  stateAt,
  type Case,
  type CaseCandidate,
  type CaseState,
  type Review,
} from '../sharing/cases/case.ts';
import {
  analysesOf,
  reviewsOf,
  type CandidateDecision,
  type CaseStep,
  type Conclusion,
} from '../sharing/cases/case.ts';
import {
  CandidateConclusion,
  CaseFinding,
  CaseState as WireState,
  ConclusionReason,
  ProbeValue,
  type CandidateDecision as WireDecision,
  type CaseReview,
  type ReviewCase,
} from './generated/ridgewatch/v1/cases.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import { Band, type Sample } from './generated/ridgewatch/v1/sample.ts';
import { nameOf } from './wire-names.ts';

/** What of a case is shown, besides what it is about. */
export interface ShownOfCase {
  readonly probe: readonly Sample[];
  readonly candidates: readonly CaseCandidate[];
  readonly withheldCount: number;
  readonly steps: readonly CaseStep[];
}

const NOTHING: ShownOfCase = { probe: [], candidates: [], withheldCount: 0, steps: [] };

/** @param now - a case whose time is up has expired */
export function toWireCase(found: Case, now: Date, shown: ShownOfCase = NOTHING): ReviewCase {
  const { facts, closeTime, receipt } = found;
  const state = stateAt(found, now);
  const { steps, candidates, probe, withheldCount } = shown;
  const escalation = steps.find((step) => step.kind === 'escalation');
  const resolution = steps.find((step): step is Review => step.kind === 'resolution');
  return {
    caseId: facts.caseId,
    state: stateToWire(state),
    agency: facts.agency,
    checkpointId: facts.checkpointId,
    purpose: valueOf(Purpose, facts.purpose),
    createTime: facts.createTime,
    expireTime: facts.expireTime,
    closeTime: closeTime ?? (hasEnded(state) ? facts.expireTime : undefined),
    requestId: facts.requestId,
    candidateCount: facts.candidates.length,
    withheldCount,
    examinerCount: analysesOf(found).length,
    probe: [...probe],
    candidates: candidates.map(({ subjectId, subjectVersion, owner, band, rank, log10Fmr }) => ({
      ...{ subjectId, subjectVersion, contributor: owner, rank, log10Fmr },
      band: valueOf(Band, band),
    })),
    analyses: analysesOf({ steps }).map(({ clientId, at, value, usableMinutiae, text }) => ({
      ...{ clientId, time: new Date(at), value: valueOf(ProbeValue, value), usableMinutiae, text },
    })),
    reviews: reviewsOf({ steps }).map(toWireReview),
    escalation: escalation && {
      ...{ clientId: escalation.clientId, time: new Date(escalation.at), reason: escalation.reason },
    },
    resolution: resolution && toWireReview(resolution),
    outcomes: steps.flatMap((step) => {
      if (step.kind !== 'outcome') return [];
      const { clientId, agency, at, subjectId, finding, text } = step;
      return [{ clientId, agency, time: new Date(at), subjectId, finding: valueOf(CaseFinding, finding), text }];
    }),
    probeReceipt: receipt ?? '',
  };
}

function toWireReview({ clientId, at, decisions }: Review): CaseReview {
  return {
    clientId,
    time: new Date(at),
    decisions: decisions.map(({ subjectId, conclusion, reason, text }) => ({
      subjectId,
      conclusion: valueOf(CandidateConclusion, conclusion),
      reason: valueOf(ConclusionReason, reason),
      text,
    })),
  };
}

/** @param decision - of a request that was checked */
export function fromWireDecision({ subjectId, conclusion, reason, text }: WireDecision): CandidateDecision {
  return {
    subjectId,
    conclusion: nameOf(CandidateConclusion, conclusion) as Conclusion,
    reason: nameOf(ConclusionReason, reason),
    text,
  };
}

function stateToWire(state: CaseState): WireState {
  return valueOf(WireState, state);
}

/** @returns undefined: every state */
export function stateFromWire(state: WireState): CaseState | undefined {
  return state === WireState.UNSPECIFIED ? undefined : (nameOf(WireState, state) as CaseState);
}

/** @param name - e.g. `border-check` @returns 0: there is no such value */
function valueOf<T extends number>(enumeration: Readonly<Record<string, T | string>>, name: string): T {
  const value = enumeration[name.toUpperCase().replaceAll('-', '_')];
  return (typeof value === 'number' ? value : 0) as T;
}
