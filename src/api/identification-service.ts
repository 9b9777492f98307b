import type { CurrentGallery } from '../gallery/active-gallery.ts';
import type { CandidateWay } from '../matching/search/candidate-source.ts';
import type { SearchResult } from '../matching/search/identification.ts';
import type { Identified, Searcher } from '../matching/search/searcher.ts';
import { classesOf } from './class-masks.ts';
import { policyPurpose } from './permissions.ts';
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
import { purposeName } from '../contract/wire-names.ts';
import { toWireWarnings, warningFacts, type WarnedView } from '../contract/wire-warnings.ts';

/** One answered search, for the metrics. */
export interface SearchObservation {
  readonly way: 'exact' | CandidateWay;
  /** Where an early answer was wanted: whether there was one, and the time from the request to the first answer. */
  readonly firstHit: { readonly isEarly: boolean; readonly seconds: number } | undefined;
}

/** Dependencies of the identification service. */
export interface IdentificationDependencies {
  readonly served: CurrentGallery;
  readonly searcher: Searcher;
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
  const grant = context.authorize({ purpose: policyPurpose(request.purpose), galleries: request.galleries });
  service.requireReady();
  // Check the names first: decoding the samples is expensive.
  service.served.current.requireKnown(request.galleries);
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  noteWarnings(service, context, samples);
  const query = {
    samples,
    galleries: [...grant.galleries],
    classes: classesOf(grant, service.served.current.classes),
    maxCandidates: request.maxCandidates || DEFAULT_CANDIDATES,
    threshold: toThreshold(request.threshold),
    isExact: request.exact,
    explain: request.explain === true,
    allowPartial: request.allowPartial === true,
    firstHit: request.firstHit === true,
  };
  let firstHit: SearchObservation['firstHit'];
  const noteFirst = ({ isEarly }: SearchResult) => {
    if (query.firstHit) firstHit ??= { isEarly, seconds: (performance.now() - started) / 1000 };
  };
  const toResponse = (found: Identified) => identifyResponse(context.requestId, found, performance.now() - started);
  const tell = (early: Identified) => {
    noteFirst(early.result);
    tellEarly?.(toResponse(early));
  };
  const found = await service.searcher.identify(query, context, tellEarly && tell);
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
  return toResponse(found);
}

async function answerVerify(
  service: IdentificationDependencies,
  request: VerifyRequest,
  context: CallContext,
): Promise<VerifyResponse> {
  const started = performance.now();
  check(verifyRules, request);
  noteCaller(context, request);
  const action = request.claim?.$case === 'referenceSamples' ? 'compare' : 'verify';
  const grant = context.authorize({ action, purpose: policyPurpose(request.purpose), galleries: [] });
  service.requireReady();
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  const { claim } = request;
  const references =
    claim?.$case === 'referenceSamples'
      ? await decodeSamples(claim.value.samples, service.faceModels, 'reference_samples.samples', context.signal)
      : undefined;
  noteWarnings(service, context, [...samples, ...(references ?? [])]);
  const stated =
    references === undefined ? { subjectId: claim?.$case === 'subjectId' ? claim.value : '' } : { references };
  const scope = { galleries: grant.galleries, classes: classesOf(grant, service.served.current.classes) };
  const query = { samples, claim: stated, scope, explain: request.explain === true };
  const found = await service.searcher.verify(query, context);
  const { result } = found;
  context.note({ gallery_version: result.galleryVersion, comparisons: sum(result.compared) });
  const referenceWarnings = toWireWarnings(references ?? []);
  return { ...verifyResponse(context.requestId, found, performance.now() - started), referenceWarnings };
}

function noteCaller(context: CallContext, request: IdentifyRequest | VerifyRequest): void {
  context.requestId = request.clientRequestId || context.requestId;
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
