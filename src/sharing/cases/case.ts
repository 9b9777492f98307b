/**
 * A case: the candidates of one search, and what was said about them, step by step. Plain data. Steps are only ever
 * added.
 */

/** Most candidates of a case: each needs a decision of two persons. */
export const MAX_CASE_CANDIDATES = 50;
/** Examiners that decide a case. */
export const EXAMINERS = 2;

export const CASE_STATES = ['open', 'conflict', 'escalated', 'closed', 'expired'] as const;
export type CaseState = (typeof CASE_STATES)[number];

export const CONCLUSIONS = ['confirmed', 'excluded', 'inconclusive'] as const;
export type Conclusion = (typeof CONCLUSIONS)[number];

/** A candidate, as it was at the search. */
export interface CaseCandidate {
  readonly subjectId: string;
  readonly subjectVersion: number;
  /** The agency that owns the record. */
  readonly owner: string;
  readonly caveats: readonly string[];
  readonly provenance: string;
  /** e.g. `strong-candidate`. */
  readonly band: string;
  /** From 1. */
  readonly rank: number;
  readonly log10Fmr: number;
}

/** What a case is about. It never changes. */
export interface CaseFacts {
  readonly caseId: string;
  /** Of the client that searched. */
  readonly agency: string;
  readonly openedBy: string;
  readonly checkpointId: string;
  /** e.g. `border-check`. */
  readonly purpose: string;
  /** Of the search. */
  readonly requestId: string;
  readonly createTime: Date;
  readonly expireTime: Date;
  readonly candidates: readonly CaseCandidate[];
}

/** A decision about one candidate. */
export interface CandidateDecision {
  readonly subjectId: string;
  readonly conclusion: Conclusion;
  /** e.g. `corresponding-detail`. */
  readonly reason: string;
  readonly text: string;
}

interface ByClient {
  readonly clientId: string;
  /** In milliseconds since 1970. */
  readonly at: number;
}

/** What an examiner says of the probe alone. */
export interface Analysis extends ByClient {
  readonly kind: 'analysis';
  /** e.g. `sufficient`. */
  readonly value: string;
  readonly usableMinutiae: number;
  readonly text: string;
}

/** `review`: of an examiner; `resolution`: of a supervisor. */
export interface Review extends ByClient {
  readonly kind: 'review' | 'resolution';
  readonly decisions: readonly CandidateDecision[];
}

export interface Escalation extends ByClient {
  readonly kind: 'escalation';
  readonly reason: string;
}

/** What was found out after the case had ended. */
export interface Outcome extends ByClient {
  readonly kind: 'outcome';
  readonly agency: string;
  readonly subjectId: string;
  /** e.g. `same-person`. */
  readonly finding: string;
  readonly text: string;
}

export type CaseStep = Analysis | Review | Escalation | Outcome;

export interface Case {
  readonly facts: CaseFacts;
  readonly state: CaseState;
  readonly steps: readonly CaseStep[];
  /** Undefined: it has not ended. */
  readonly closeTime: Date | undefined;
  /** Signed receipt of the destroyed probe (JSON); undefined: the probe is still there. */
  readonly receipt: string | undefined;
}

/** Whether the case has ended and the probe is destroyed. */
export function hasEnded(state: CaseState): boolean {
  return state === 'closed' || state === 'expired';
}

/** The state at a time: a case whose time is up has expired, whether its row says so yet or not. */
export function stateAt({ state, facts }: Pick<Case, 'state' | 'facts'>, now: Date): CaseState {
  return !hasEnded(state) && facts.expireTime <= now ? 'expired' : state;
}

export function analysesOf({ steps }: Pick<Case, 'steps'>): Analysis[] {
  return steps.filter((step) => step.kind === 'analysis');
}

/** Decisions of examiners. */
export function reviewsOf({ steps }: Pick<Case, 'steps'>): Review[] {
  return steps.filter((step): step is Review => step.kind === 'review');
}

/** Whether the client is one of the two examiners. */
export function isExaminer(found: Pick<Case, 'steps'>, clientId: string): boolean {
  return analysesOf(found).some((one) => one.clientId === clientId);
}
