import { keyOfHidden, WEAK_ANSWER_LOG10, type AnswerCharge, type Charge } from '../access/budgets.ts';
import type { CurrentGallery } from '../gallery/active-gallery.ts';
import type { CandidateWay } from '../matching/search/candidate-source.ts';
import type { SearchResult } from '../matching/search/identification.ts';
import type { Identified, Searcher } from '../matching/search/searcher.ts';
import type { ProbeDigest } from '../audit/probe-digest.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import type { Probe } from '../matching/search/probe.ts';
import { Band } from '../contract/generated/ridgewatch/v1/sample.ts';
import { isMinorAt } from '../gallery/record-life.ts';
import { isFound } from '../gallery/scope.ts';
import { thresholdOf } from '../matching/search/candidate-list.ts';
import type { AuditDraft } from './call-audit.ts';
import { searchedClasses } from './searched-classes.ts';
import {
  disclosableThreshold,
  discloseIdentify,
  discloseVerify,
  withinStandard,
  WEAKEST_CANDIDATE_LOG10,
  type IdentifyDisclosure,
} from './disclosed-answers.ts';
import {
  admitProbes,
  answerDisclosure,
  comparisonsOf,
  isWatched,
  measuredRates,
  NO_RECORD,
  requireExplainable,
  requirePlausible,
  type Safeguards,
} from './safeguards.ts';
import { factsAt, searchRulesOf } from './class-masks.ts';
import { matchedRecord, shownRecords, silentRecords, unshownClasses } from './found-records.ts';
import { policyPurpose } from './permissions.ts';
import { openCaseOf, requireMayOpen, type OpeningDependencies } from './case-opening.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import type {
  IdentificationServer,
  IdentifyRequest,
  IdentifyResponse,
  VerifyRequest,
  VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { answerStream } from './identification-stream.ts';
import { identifyResponse, verifyResponse } from './identify-response.ts';
import { check, identifyRules, verifyRules } from '../contract/validation.ts';
import { decodeSamples, type FaceModel } from '../contract/wire-samples.ts';
import { toThreshold } from '../contract/wire-threshold.ts';
import { nameOf, purposeName } from '../contract/wire-names.ts';
import { toWireWarnings, warningFacts, type WarnedView } from '../contract/wire-warnings.ts';

/** One answered search, for the metrics. */
export interface SearchObservation {
  readonly way: 'exact' | CandidateWay;
  /** Where an early answer was wanted: whether there was one, and the time from the request to the first answer. */
  readonly firstHit: { readonly isEarly: boolean; readonly seconds: number } | undefined;
}

/** Dependencies of the identification service. */
export interface IdentificationDependencies extends Safeguards, OpeningDependencies {
  readonly served: CurrentGallery;
  readonly searcher: Searcher;
  readonly calibrations: Calibrations;
  /** The service's own FPIR. */
  readonly targetFpir: number;
  readonly probeDigest: ProbeDigest;
  readonly faceModels: ReadonlyMap<string, FaceModel>;
  /** Called with the warnings about accepted samples. */
  countWarnings(warnings: readonly { readonly code: string }[]): void;
  observeSearch(search: SearchObservation): void;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

/**
 * Answers one search, over any transport.
 * @param tellEarly - takes an early answer, at most once, which the complete one follows. Undefined: an early answer is
 * the only one
 * @throws Failure
 */
export type AnswerIdentify = (
  request: IdentifyRequest,
  context: CallContext,
  tellEarly?: (early: IdentifyResponse) => void,
) => Promise<IdentifyResponse>;

const DEFAULT_CANDIDATES = 10;

/** The `Identification` service. Converts between wire and domain types; contains no matching logic. */
export function identificationService(
  service: IdentificationDependencies,
  settings: CallSettings,
): IdentificationServer {
  const answer = identifyBy(service);
  return {
    identify: unary('Identification/Identify', settings, (request: IdentifyRequest, context) =>
      answer(request, context),
    ),
    identifyStream: (call) => answerStream(call, settings, answer),
    verify: unary('Identification/Verify', settings, (request: VerifyRequest, context) =>
      answerVerify(service, request, context),
    ),
  };
}

/** Handler for searches over any transport. */
export function identifyBy(service: IdentificationDependencies): AnswerIdentify {
  return (request, context, tellEarly) => answerIdentify(service, request, context, tellEarly);
}

async function answerIdentify(
  service: IdentificationDependencies,
  request: IdentifyRequest,
  context: CallContext,
  tellEarly?: (early: IdentifyResponse) => void,
): Promise<IdentifyResponse> {
  const started = performance.now();
  check(identifyRules, request);
  noteCaller(context, request);
  requireMayOpen(context, request);
  const grant = context.authorize({ purpose: policyPurpose(request.purpose), galleries: request.galleries });
  const answer = answerDisclosure(grant);
  requireExplainable(answer, request.explain === true);
  service.requireReady();
  const { served, targetFpir } = service;
  // Check the names first: decoding the samples is expensive.
  served.current.requireKnown(request.galleries);
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  noteWarnings(service, context, samples);
  if (isWatched(grant)) requirePlausible(service, samples);
  const maxCandidates = request.maxCandidates || DEFAULT_CANDIDATES;
  const asked = toThreshold(request.threshold);
  const isCoarse = answer.rates === 'powers';
  const rules = searchRulesOf(grant, served.current);
  const query = {
    samples,
    galleries: [...grant.galleries],
    ...rules,
    unshown: await unshownClasses(grant, served.current, context.signal),
    // Which of equal rounded rates are shown must not depend on the exact ones.
    maxCandidates: isCoarse ? Math.max(maxCandidates, COARSE_LIST) : maxCandidates,
    threshold: isCoarse ? disclosableThreshold(asked, targetFpir) : asked,
    admit: isWatched(grant) ? (probes: readonly Probe[]) => admitProbes(service, grant, probes) : undefined,
    isExact: request.exact,
    explain: request.explain === true,
    allowPartial: request.allowPartial === true,
    firstHit: request.firstHit === true,
  };
  const disclosed: IdentifyDisclosure = {
    answer,
    of: (subjectId) => {
      const subject = served.current.subject(subjectId);
      return grant.discloses(subject === undefined ? NO_RECORD : factsAt(subject, served.current.now()));
    },
    standardFpir: targetFpir,
    maxCandidates,
    weakestLog10: WEAKEST_CANDIDATE_LOG10,
    measured: measuredRates(service.calibrations, samples),
  };
  let firstHit: SearchObservation['firstHit'];
  const noteFirst = ({ isEarly }: SearchResult) => {
    if (query.firstHit) firstHit ??= { isEarly, seconds: (performance.now() - started) / 1000 };
  };
  const toResponse = (found: Identified) => {
    const whole = identifyResponse(context.requestId, found, performance.now() - started);
    return discloseIdentify(isWatched(grant) ? withinStandard(whole, targetFpir) : whole, disclosed);
  };
  const probe = service.probeDigest.of(request.samples.map(({ data }) => data));
  context.account({ probe });
  context.account({ classes: await searchedClasses(rules.classes, served.current.classes, context.signal) });
  // An early answer leaves when its record is durable, and before the last one.
  let early = Promise.resolve();
  const tell = (first: Identified) => {
    noteFirst(first.result);
    const response = toResponse(first);
    context.account(searchDraft(first, response));
    context.found([...shownRecords(first, response, targetFpir), ...silentRecords(first, targetFpir)]);
    early = context.recordEarly().then(() => tellEarly?.(response));
    // Its failure is that of the call, once the search has ended.
    early.catch(() => undefined);
  };
  // Nothing is told early after the last answer, and no other answer replaces a record that could not be kept.
  const found = await service.searcher.identify(query, context, tellEarly && tell).finally(() => early);
  const { result, damagedReferences } = found;
  noteFirst(result);
  const way = result.way ?? 'exact';
  service.observeSearch({ way, firstHit });
  context.note({
    gallery_version: result.galleryVersion,
    comparisons: sum(result.compared),
    search_mode: result.mode,
    search_way: way,
    searched_fraction: result.searchedFraction,
    candidate_count: result.candidates.length,
    ...(firstHit && { early: firstHit.isEarly, first_hit_ms: Math.round(1000 * firstHit.seconds) }),
    ...(result.emptyScope && { empty_scope: result.emptyScope }),
    ...(damagedReferences > 0 && { damaged_references: damagedReferences }),
  });
  const response = toResponse(found);
  context.account(searchDraft(found, response));
  const shown = shownRecords(found, response, targetFpir);
  context.found([...shown, ...silentRecords(found, targetFpir)], found.unshown !== undefined);
  return { ...response, caseId: await openCaseOf(service, request, shown, context) };
}

/** Candidates of a coarse answer before it is cut: hardly any search has more at the service's own threshold. */
const COARSE_LIST = 100;

/** What the audit is told about an answer: the candidates that the caller is shown, with their exact rates. */
function searchDraft({ result, modelVersions }: Identified, shown: IdentifyResponse): AuditDraft {
  const exact = new Map(result.candidates.map(({ subject, log10Fmr }) => [subject.subjectId, log10Fmr]));
  return {
    gallery_version: result.galleryVersion,
    ...versionsOf(modelVersions),
    candidates: shown.candidates.map(({ subjectId, rank, log10Fmr, band }) => ({
      subject_id: subjectId,
      rank,
      log10_fmr: exact.get(subjectId) ?? log10Fmr,
      band: nameOf(Band, band),
    })),
  };
}

function versionsOf(versions: Identified['modelVersions']): AuditDraft {
  return {
    models: Object.fromEntries(versions.map(({ model, hash }) => [model, hash])),
    calibrations: Object.fromEntries(versions.map(({ model, calibration }) => [model, calibration])),
  };
}

async function answerVerify(
  service: IdentificationDependencies,
  request: VerifyRequest,
  context: CallContext,
): Promise<VerifyResponse> {
  const started = performance.now();
  check(verifyRules, request);
  noteCaller(context, request);
  const { claim } = request;
  const subjectId = claim?.$case === 'subjectId' ? claim.value : undefined;
  const action = subjectId === undefined ? 'compare' : 'verify';
  const grant = context.authorize({ action, purpose: policyPurpose(request.purpose), galleries: [] });
  const { served } = service;
  const scope = { galleries: grant.galleries, ...searchRulesOf(grant, served.current) };
  const instantMs = served.current.now();
  const claimed = subjectId === undefined ? undefined : served.current.subject(subjectId);
  // What the caller may not find is treated as if it were not there: no refusal and no price may tell them apart.
  const facts = claimed !== undefined && isFound(claimed, scope, instantMs) ? factsAt(claimed, instantMs) : NO_RECORD;
  const disclosure = grant.discloses(subjectId === undefined ? undefined : facts);
  requireExplainable(disclosure, request.explain === true);
  service.requireReady();
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  const references =
    claim?.$case === 'referenceSamples'
      ? await decodeSamples(claim.value.samples, service.faceModels, 'reference_samples.samples', context.signal)
      : undefined;
  noteWarnings(service, context, [...samples, ...(references ?? [])]);
  const stated = references === undefined ? { subjectId: subjectId ?? '' } : { references };
  const probe = service.probeDigest.of(request.samples.map(({ data }) => data));
  context.account({ probe, ...(subjectId !== undefined && { subject_id: subjectId }) });
  // Samples that the caller brought itself tell it nothing that it does not have.
  const isBudgeted = subjectId !== undefined && isWatched(grant);
  // Nor may a caller spend the budget of a subject that it cannot find, or learn what others have spent of it.
  const isHidden = facts === NO_RECORD;
  const key = isHidden ? keyOfHidden(subjectId ?? '', grant.client.clientId) : (subjectId ?? '');
  let charged = { client: 0, subject: 0, ...(isHidden && { is_hidden: true }) };
  const note = ({ client, subject, isWeak = false }: Charge & Partial<AnswerCharge>) => {
    charged = { ...charged, client: charged.client + client, subject: charged.subject + subject };
    context.account({ charged: { ...charged, ...(isWeak && { is_weak: true }) } });
  };
  const count = comparisonsOf(disclosure, samples);
  if (isBudgeted) {
    requirePlausible(service, samples);
    await service.history.requireRead(context.signal);
    service.budgets.spend(grant.client, key, count, note);
  }
  const admit = isBudgeted ? (probes: readonly Probe[]) => admitProbes(service, grant, probes) : undefined;
  const query = { samples, claim: stated, scope, admit, explain: request.explain === true };
  const found = await service.searcher.verify(query, context);
  const { result } = found;
  context.note({ gallery_version: result.galleryVersion, comparisons: sum(result.compared) });
  const rate = subjectId === undefined ? {} : { log10_fmr: result.log10Fmr };
  context.account({ gallery_version: result.galleryVersion, ...versionsOf(found.modelVersions), ...rate });
  const referenceWarnings = toWireWarnings(references ?? []);
  const response = { ...verifyResponse(context.requestId, found, performance.now() - started), referenceWarnings };
  if (claimed !== undefined && facts !== NO_RECORD) {
    const isMinor = isMinorAt(claimed.attributes, instantMs);
    const isMatch = result.log10Fmr <= thresholdOf(isMinor, WEAK_ANSWER_LOG10);
    if (isMatch) context.found([matchedRecord(claimed, result.log10Fmr, isMinor)]);
  }
  const disclosed = discloseVerify(response, disclosure, measuredRates(service.calibrations, samples));
  if (isBudgeted) note(service.budgets.answered(grant.client, key, disclosed.log10Fmr, count));
  return disclosed;
}

function noteCaller(context: CallContext, request: IdentifyRequest | VerifyRequest): void {
  context.requestId = request.clientRequestId || context.requestId;
  context.account({ checkpoint_id: request.checkpointId });
  context.note({
    checkpoint_id: request.checkpointId,
    purpose: purposeName(request.purpose),
    sample_count: request.samples.length,
  });
}

function noteWarnings(service: IdentificationDependencies, context: CallContext, views: readonly WarnedView[]): void {
  const warnings = views.flatMap((view) => view.warnings ?? []);
  service.countWarnings(warnings);
  context.note(warningFacts(warnings));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
