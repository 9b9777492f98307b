/** Cases: what two examiners decide, independently, about the candidates of a search. */
import type { Action, Purpose } from '../access/actions.ts';
import type { Grant, RecordFacts } from '../access/grant.ts';
import { caseNotFound, type CaseStore, type FoundCase, type SignProbe } from '../store/case-store.ts';
import {
  analysisRules,
  caseIdRules,
  decideRules,
  escalateRules,
  listCasesRules,
  outcomeRules,
} from '../contract/case-rules.ts';
import {
  CaseFinding,
  ProbeValue,
  type DecideRequest,
  type EscalateRequest,
  type GetCaseRequest,
  type ListCasesRequest,
  type ListCasesResponse,
  type ReportOutcomeRequest,
  type ReportOutcomeResponse,
  type ReviewCase,
  type SubmitAnalysisRequest,
} from '../contract/generated/ridgewatch/v1/cases.ts';
import { IdentifyRequest } from '../contract/generated/ridgewatch/v1/identification.ts';
import type { SharingServer } from '../contract/generated/ridgewatch/v1/sharing.ts';
import { check } from '../contract/validation.ts';
import { fromWireDecision, stateFromWire, toWireCase } from '../contract/wire-cases.ts';
import { nameOf } from '../contract/wire-names.ts';
import { Failure } from '../failure.ts';
import { requireMayDecide } from '../sharing/cases/case-rules.ts';
import { viewOf } from '../sharing/cases/case-view.ts';
import { hasEnded, stateAt, type Case, type CaseCandidate, type CaseStep } from '../sharing/cases/case.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';

export interface CaseDependencies {
  readonly cases: CaseStore;
  readonly signProbe: SignProbe;
  /** Told of each case that was decided: where the owners of the candidates will be told of the outcome. */
  readonly caseEnded: (ended: Case) => void;
  /** What policies decide by about a subject as it is now; undefined: it is not in the gallery. */
  readonly findRecord: (subjectId: string) => RecordFacts | undefined;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

type Handlers = Pick<
  SharingServer,
  'listCases' | 'getCase' | 'submitAnalysis' | 'decide' | 'escalate' | 'reportOutcome'
>;

const DEFAULT_PAGE = 50;

export function caseHandlers(service: CaseDependencies, settings: CallSettings): Handlers {
  return {
    listCases: unary('Sharing/ListCases', settings, (request: ListCasesRequest, context) =>
      list(service, request, context),
    ),
    getCase: unary('Sharing/GetCase', settings, async ({ caseId }: GetCaseRequest, context) => {
      check(caseIdRules, { caseId });
      return { reviewCase: await read(service, caseId, context) };
    }),
    submitAnalysis: unary('Sharing/SubmitAnalysis', settings, async (request: SubmitAnalysisRequest, context) => ({
      reviewCase: await analyse(service, request, context),
    })),
    decide: unary('Sharing/Decide', settings, async (request: DecideRequest, context) => ({
      reviewCase: await decide(service, request, context),
    })),
    escalate: unary('Sharing/Escalate', settings, async (request: EscalateRequest, context) => ({
      reviewCase: await escalate(service, request, context),
    })),
    reportOutcome: unary('Sharing/ReportOutcome', settings, (request: ReportOutcomeRequest, context) =>
      report(service, request, context),
    ),
  };
}

async function list(
  { cases }: CaseDependencies,
  request: ListCasesRequest,
  context: CallContext,
): Promise<ListCasesResponse> {
  check(listCasesRules, request);
  const agency = request.agency || context.principal.client.agency;
  inAgencyField(() => context.authorize({ purpose: 'none', galleries: [], contributor: agency }));
  const after = request.afterCaseId === '' ? undefined : request.afterCaseId;
  const limit = request.pageSize || DEFAULT_PAGE;
  const { cases: page, damaged, next } = await cases.list(agency, stateFromWire(request.state), after, limit, context);
  context.note({ case_count: page.length, ...(damaged.length > 0 && { damaged_count: damaged.length }) });
  const now = new Date();
  return {
    cases: page.map((one) => toWireCase(one, now)),
    damagedCaseIds: [...damaged],
    nextAfterCaseId: next ?? '',
  };
}

function inAgencyField(ask: () => unknown): void {
  try {
    ask();
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.detail.field !== 'contributor') throw thrown;
    throw new Failure(thrown.kind, thrown.reason, thrown.message, { field: 'agency' });
  }
}

async function read(service: CaseDependencies, caseId: string, context: CallContext): Promise<ReviewCase> {
  service.requireReady();
  context.note({ case_id: caseId });
  const found = await service.cases.get(caseId, context.principal.client.clientId, context);
  return shown(service, found, context, 'read-cases');
}

/**
 * The case as the caller may see it. Asked at each answer: what may be seen is decided by the rights of the moment.
 * @param action - that the call has taken, and that the audit is to name
 */
function shown(service: CaseDependencies, at: FoundCase, context: CallContext, action: Action): ReviewCase {
  const { found, hasEnrolled } = at;
  const mayTake = (action: Action) => {
    try {
      const grant = authorizeFor(found, action, context);
      const actor = actorOf(service, found, grant, hasEnrolled);
      requireMayDecide(found, actor);
      return true;
    } catch (thrown) {
      if (thrown instanceof Failure) return false;
      throw thrown;
    }
  };
  const [mayReview, mayResolve] = [mayTake('review-case'), mayTake('decide-conflict')];
  const grant = authorizeFor(found, action, context);
  const now = new Date();
  const view = viewOf(found, { clientId: grant.client.clientId, mayReview, mayResolve }, now);
  const seen = found.facts.candidates.filter((one) => sees(service, grant, one));
  const withheldCount = found.facts.candidates.length - seen.length;
  // A part of the candidates would tell of the others: by their ranks, and in the decisions about them.
  const isWhole = withheldCount === 0;
  const candidates = view.showsCandidates && isWhole ? seen : [];
  const steps = isWhole ? view.steps : [];
  context.note({ case_state: stateAt(found, now) });
  context.account({ subjects: candidates.map(({ subjectId }) => subjectId) });
  return toWireCase(found, now, {
    probe: view.showsProbe && isWhole ? IdentifyRequest.decode(at.probe() ?? new Uint8Array()).samples : [],
    candidates: candidates.map((one) => withRate(grant, one)),
    withheldCount,
    steps,
  });
}

async function analyse(
  service: CaseDependencies,
  request: SubmitAnalysisRequest,
  context: CallContext,
): Promise<ReviewCase> {
  check(analysisRules, request);
  const { value, usableMinutiae, text } = request;
  return take(service, request.caseId, context, () => ({
    ...{ kind: 'analysis', value: nameOf(ProbeValue, value), usableMinutiae, text, ...taker(context) },
  }));
}

async function decide(service: CaseDependencies, request: DecideRequest, context: CallContext): Promise<ReviewCase> {
  check(decideRules, request);
  const decisions = request.decisions.map(fromWireDecision);
  return take(service, request.caseId, context, (found) => {
    const isHandedOver = ['conflict', 'escalated'].includes(stateAt(found, new Date()));
    return { kind: isHandedOver ? 'resolution' : 'review', decisions, ...taker(context) };
  });
}

async function escalate(
  service: CaseDependencies,
  { caseId, reason }: EscalateRequest,
  context: CallContext,
): Promise<ReviewCase> {
  check(escalateRules, { caseId, reason });
  return take(service, caseId, context, () => ({ kind: 'escalation', reason, ...taker(context) }));
}

async function take(
  service: CaseDependencies,
  caseId: string,
  context: CallContext,
  stepOf: (found: Case) => CaseStep,
): Promise<ReviewCase> {
  service.requireReady();
  context.note({ case_id: caseId });
  let action: Action = 'review-case';
  const after = await service.cases.take(
    caseId,
    (found) => {
      const step = stepOf(found);
      action = step.kind === 'resolution' ? 'decide-conflict' : 'review-case';
      const grant = authorizeFor(found, action, context);
      // A refused step is in the audit with the subjects that it was about.
      context.account({ subjects: found.facts.candidates.map(({ subjectId }) => subjectId) });
      return { step, actor: actorOf(service, found, grant, false) };
    },
    service.signProbe,
    context,
  );
  if (hasEnded(after.found.state)) service.caseEnded(after.found);
  return shown(service, after, context, action);
}

async function report(
  service: CaseDependencies,
  request: ReportOutcomeRequest,
  context: CallContext,
): Promise<ReportOutcomeResponse> {
  check(outcomeRules, request);
  const { caseId, subjectId, finding, text } = request;
  service.requireReady();
  context.note({ case_id: caseId });
  context.account({ subject_id: subjectId });
  const { agency } = context.principal.client;
  await service.cases.take(
    caseId,
    (found) => {
      const grant = authorizeToReport(found, subjectId, context);
      const candidate = found.facts.candidates.find((one) => one.subjectId === subjectId);
      if (candidate !== undefined && !sees(service, grant, candidate)) throw caseNotFound();
      const step = { kind: 'outcome', agency, subjectId, finding: nameOf(CaseFinding, finding), text } as const;
      return {
        step: { ...step, ...taker(context) },
        actor: actorOf(service, found, grant, false),
      };
    },
    service.signProbe,
    context,
  );
  return {};
}

/** The agency that searched may report, and the owner of the record. */
function authorizeToReport(found: Case, subjectId: string, context: CallContext): Grant {
  const owner = found.facts.candidates.find((one) => one.subjectId === subjectId)?.owner;
  try {
    return authorizeFor(found, 'report-outcome', context);
  } catch (thrown) {
    if (owner === undefined) throw thrown;
    return authorizeFor(found, 'report-outcome', context, owner);
  }
}

/**
 * Asks for a case of an agency: its purpose is that of the search.
 * @throws Failure ACTION_NOT_PERMITTED, PURPOSE_NOT_PERMITTED; CASE_NOT_FOUND: the client may do nothing for the agency
 */
function authorizeFor({ facts }: Case, action: Action, context: CallContext, contributor = facts.agency): Grant {
  try {
    return context.authorize({ action, purpose: facts.purpose as Purpose, galleries: [], contributor });
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    // Nor may clients of other agencies learn that there is a case for a purpose that they do not have.
    const isOfOther = thrown.reason !== 'ACTION_NOT_PERMITTED' && contributor !== context.principal.client.agency;
    throw isOfOther ? caseNotFound() : thrown;
  }
}

function actorOf(service: CaseDependencies, { facts }: Case, grant: Grant, hasEnrolled: boolean) {
  const seesAll = facts.candidates.every((one) => sees(service, grant, one));
  return { clientId: grant.client.clientId, hasEnrolled, seesAll };
}

/** By what the record was at the search and by what it is now, as with hits. */
function sees({ findRecord }: CaseDependencies, grant: Grant, candidate: CaseCandidate): boolean {
  const { subjectId, owner, caveats, provenance } = candidate;
  const now = findRecord(subjectId);
  if (now !== undefined && !grant.sees(now)) return false;
  return grant.sees({ contributor: owner, caveats, provenance });
}

function withRate(grant: Grant, candidate: CaseCandidate): CaseCandidate {
  const { owner: contributor, caveats, provenance, log10Fmr } = candidate;
  if (grant.discloses({ contributor, caveats, provenance }).rates === 'exact') return candidate;
  return { ...candidate, log10Fmr: Math.ceil(log10Fmr) };
}

function taker({ principal }: CallContext): { readonly clientId: string; readonly at: number } {
  return { clientId: principal.client.clientId, at: Date.now() };
}
