/** Which step may follow in a case, and the state after it. No other file decides this. */
import { Failure } from '../../failure.ts';
import {
  analysesOf,
  EXAMINERS,
  isExaminer,
  reviewsOf,
  stateAt,
  type CandidateDecision,
  type Case,
  type CaseState,
  type CaseStep,
} from './case.ts';

/** Reports of what was found out later, for one case. */
const MAX_OUTCOMES = 32;

/** A client that takes a step, and what of it matters. */
export interface Actor {
  readonly clientId: string;
  /** It enrolled or changed one of the candidates. */
  readonly hasEnrolled: boolean;
  /** It may see the records of all candidates. */
  readonly seesAll: boolean;
}

/** In which states each step may be taken. */
const STATES: Readonly<Record<CaseStep['kind'], readonly CaseState[]>> = {
  analysis: ['open'],
  review: ['open'],
  escalation: ['open'],
  resolution: ['conflict', 'escalated'],
  outcome: ['closed', 'expired'],
};

/**
 * The state after a step.
 * @throws Failure CASE_STATE_WRONG, CASE_NOT_INDEPENDENT, CASE_RECORDS_WITHHELD, CASE_TAKEN, CASE_STEP_REPEATED,
 * ANALYSIS_REQUIRED, DECISIONS_INCOMPLETE, CANDIDATE_UNKNOWN, TOO_MANY_OUTCOMES
 */
export function stateAfter(found: Case, step: CaseStep, actor: Actor): CaseState {
  const state = stateAt(found, new Date(step.at));
  if (!STATES[step.kind].includes(state)) throw stateWrong();
  switch (step.kind) {
    case 'analysis':
      requireMayDecide(found, actor);
      if (isExaminer(found, actor.clientId)) throw repeated();
      if (analysesOf(found).length >= EXAMINERS) throw taken();
      return state;
    case 'review': {
      requireMayDecide(found, actor);
      requireExaminer(found, actor);
      requireComplete(found, step.decisions);
      const reviews = [...reviewsOf(found), step];
      if (reviews.length < EXAMINERS) return state;
      return reviews.every((one) => agree(one.decisions, step.decisions)) ? 'closed' : 'conflict';
    }
    case 'escalation':
      requireMayDecide(found, actor);
      if (!isExaminer(found, actor.clientId)) throw analysisRequired();
      return 'escalated';
    case 'resolution':
      requireMayDecide(found, actor);
      if (isExaminer(found, actor.clientId)) throw notIndependent();
      requireComplete(found, step.decisions);
      return 'closed';
    case 'outcome':
      if (!found.facts.candidates.some(({ subjectId }) => subjectId === step.subjectId)) throw candidateUnknown();
      if (found.steps.filter(({ kind }) => kind === 'outcome').length >= MAX_OUTCOMES) throw tooManyOutcomes();
      return state;
  }
}

/**
 * Whether a client may take part in deciding a case: none decides about its own search or its own enrolment, nor about
 * records that it may not see.
 * @throws Failure CASE_NOT_INDEPENDENT, CASE_RECORDS_WITHHELD
 */
export function requireMayDecide({ facts }: Pick<Case, 'facts'>, actor: Actor): void {
  if (facts.openedBy === actor.clientId || actor.hasEnrolled) throw notIndependent();
  if (actor.seesAll) return;
  const sentence = 'The client may not see the records of all candidates: another one has to decide the case.';
  throw new Failure('permission-denied', 'CASE_RECORDS_WITHHELD', sentence, { field: 'case_id' });
}

function requireExaminer(found: Case, { clientId }: Actor): void {
  if (!isExaminer(found, clientId)) throw analysesOf(found).length >= EXAMINERS ? taken() : analysisRequired();
  if (reviewsOf(found).some((one) => one.clientId === clientId)) throw repeated();
}

/** One decision for each candidate, and no other. */
function requireComplete({ facts }: Case, decisions: readonly CandidateDecision[]): void {
  const decided = new Set(decisions.map(({ subjectId }) => subjectId));
  const isComplete = facts.candidates.every(({ subjectId }) => decided.has(subjectId));
  if (isComplete && decisions.length === facts.candidates.length) return;
  const sentence = 'There has to be one decision for each candidate of the case, and no other.';
  throw new Failure('invalid-argument', 'DECISIONS_INCOMPLETE', sentence, { field: 'decisions' });
}

/** Reasons and comments may differ. */
function agree(one: readonly CandidateDecision[], other: readonly CandidateDecision[]): boolean {
  const conclusions = new Map(other.map(({ subjectId, conclusion }) => [subjectId, conclusion]));
  return one.every(({ subjectId, conclusion }) => conclusions.get(subjectId) === conclusion);
}

function stateWrong(): Failure {
  const sentence =
    'The state of the case does not allow this: it was decided, handed over or has expired, or was not yet.';
  return new Failure('failed-precondition', 'CASE_STATE_WRONG', sentence, { field: 'case_id' });
}

function notIndependent(): Failure {
  const sentence =
    'Another client has to decide the case: this one made the search, enrolled or changed a candidate, or was an examiner of it.';
  return new Failure('permission-denied', 'CASE_NOT_INDEPENDENT', sentence, { field: 'case_id' });
}

function taken(): Failure {
  const sentence = 'Two other examiners have taken the case.';
  return new Failure('failed-precondition', 'CASE_TAKEN', sentence, { field: 'case_id' });
}

function repeated(): Failure {
  const sentence = 'The client has done this in the case before, and it cannot be changed.';
  return new Failure('already-exists', 'CASE_STEP_REPEATED', sentence, { field: 'case_id' });
}

function analysisRequired(): Failure {
  const sentence = 'Submit an analysis of the probe first.';
  return new Failure('failed-precondition', 'ANALYSIS_REQUIRED', sentence, { field: 'case_id' });
}

function candidateUnknown(): Failure {
  return new Failure('not-found', 'CANDIDATE_UNKNOWN', 'The case has no such candidate.', { field: 'subject_id' });
}

function tooManyOutcomes(): Failure {
  const sentence = `The case has ${MAX_OUTCOMES} reports of what was found out: more are no news.`;
  return new Failure('resource-exhausted', 'TOO_MANY_OUTCOMES', sentence, { field: 'case_id' });
}
