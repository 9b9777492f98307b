import type { CurrentGallery } from '../gallery/active-gallery.ts';
import { shippedVectorModel } from '../matching/model/shipped-model.ts';
import type { ModelVersion as DomainModelVersion } from '../matching/rates/model-version.ts';
import type { SampleScore as DomainSampleScore } from '../matching/search/candidate-list.ts';
import type { EmptyScope as DomainEmptyScope } from '../matching/search/identification.ts';
import type { Identified, IdentifyQuery, Searcher, Verified } from '../matching/search/searcher.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import {
  EmptyScope,
  SearchMode,
  type IdentificationServer,
  type IdentifyRequest,
  type IdentifyResponse,
  type ModelVersion,
  type VerifyRequest,
  type VerifyResponse,
} from '../contract/generated/ridgewatch/v1/identification.ts';
import { Modality, type SampleScore } from '../contract/generated/ridgewatch/v1/sample.ts';
import { answerStream } from './identification-stream.ts';
import { check, identifyRules, verifyRules } from '../contract/validation.ts';
import { BANDS } from '../contract/wire-bands.ts';
import { decodeSamples, reportSamples, type FaceModel } from '../contract/wire-samples.ts';
import { toDuration } from '../contract/wire-duration.ts';
import { toWireExplanation } from '../contract/wire-explanation.ts';
import { purposeName } from '../contract/wire-names.ts';
import { toWireWarnings, warningFacts, type WarnedView } from '../contract/wire-warnings.ts';

/** Dependencies of the identification service. */
export interface IdentificationDependencies {
  readonly served: CurrentGallery;
  readonly searcher: Searcher;
  readonly faceModels: ReadonlyMap<string, FaceModel>;
  /** Called with the warnings about accepted samples. */
  countWarnings(warnings: readonly { readonly code: string }[]): void;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

/** Answers one search, over any transport. @throws Failure */
export type AnswerIdentify = (request: IdentifyRequest, context: CallContext) => Promise<IdentifyResponse>;

const DEFAULT_CANDIDATES = 10;

/** The `Identification` service. Converts between wire and domain types; contains no matching logic. */
export function identificationService(
  service: IdentificationDependencies,
  settings: CallSettings,
): IdentificationServer {
  const answer = identifyBy(service);
  return {
    identify: unary('Identification/Identify', settings, answer),
    identifyStream: (call) => answerStream(call, settings, answer),
    verify: unary('Identification/Verify', settings, (request: VerifyRequest, context) =>
      answerVerify(service, request, context),
    ),
  };
}

/** Handler for searches over any transport. */
export function identifyBy(service: IdentificationDependencies): AnswerIdentify {
  return (request, context) => answerIdentify(service, request, context);
}

async function answerIdentify(
  service: IdentificationDependencies,
  request: IdentifyRequest,
  context: CallContext,
): Promise<IdentifyResponse> {
  const started = performance.now();
  check(identifyRules, request);
  noteCaller(context, request);
  service.requireReady();
  // Check the names first: decoding the samples is expensive.
  service.served.current.requireKnown(request.galleries);
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  noteWarnings(service, context, samples);
  const query = {
    samples,
    galleries: request.galleries,
    maxCandidates: request.maxCandidates || DEFAULT_CANDIDATES,
    threshold: thresholdOf(request),
    isExact: request.exact,
    explain: request.explain === true,
    allowPartial: request.allowPartial === true,
  };
  const found = await service.searcher.identify(query, context);
  const { result, damagedReferences } = found;
  context.note({
    gallery_version: result.galleryVersion,
    comparisons: sum(result.compared),
    search_mode: result.mode,
    searched_fraction: result.searchedFraction,
    candidate_count: result.candidates.length,
    ...(result.emptyScope && { empty_scope: result.emptyScope }),
    ...(damagedReferences > 0 && { damaged_references: damagedReferences }),
  });
  return identifyResponse(context.requestId, found, performance.now() - started);
}

async function answerVerify(
  service: IdentificationDependencies,
  request: VerifyRequest,
  context: CallContext,
): Promise<VerifyResponse> {
  const started = performance.now();
  check(verifyRules, request);
  noteCaller(context, request);
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
  const query = { samples, claim: stated, explain: request.explain === true };
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

function thresholdOf({ threshold }: IdentifyRequest): IdentifyQuery['threshold'] {
  if (threshold === undefined) return undefined;
  return threshold.$case === 'maxLog10Fmr' ? { maxLog10Fmr: threshold.value } : { targetFpir: threshold.value };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

function identifyResponse(
  requestId: string,
  { probes, result, modelVersions, audit, damagedReferences }: Identified,
  elapsedMs: number,
): IdentifyResponse {
  return {
    requestId,
    candidates: result.candidates.map(({ subject, rank, log10Fmr, fpir, band, scores }) => ({
      subjectId: subject.subjectId,
      rank,
      log10Fmr,
      fpir,
      band: BANDS[band],
      scores: scores.map(toWireScore),
      contributor: subject.attributes.contributor,
      caveats: [...subject.attributes.caveats],
      provenance: subject.attributes.provenance,
    })),
    band: BANDS[result.band],
    thresholdLog10Fmr: result.thresholdLog10,
    fpir: result.fpir,
    searchMode: result.mode === 'exact' ? SearchMode.EXACT : SearchMode.INDEXED,
    searchedFraction: result.searchedFraction,
    subjectsSearched: result.subjectsSearched,
    galleryVersion: result.galleryVersion,
    modelVersions: modelVersions.map(toWireModel),
    samples: reportSamples(probes, result.compared, result.inScope),
    truncated: result.truncated,
    elapsed: toDuration(elapsedMs),
    index: audit && {
      vectorModelHash: shippedVectorModel().hash,
      penetration: result.penetration,
      audit,
      faceDirectionsHash: result.faceDirections ?? '',
    },
    emptyScope: result.emptyScope === undefined ? EmptyScope.UNSPECIFIED : EMPTY_SCOPES[result.emptyScope],
    damagedReferenceCount: damagedReferences,
  };
}

function verifyResponse(
  requestId: string,
  { probes, result, modelVersions }: Verified,
  elapsedMs: number,
): Omit<VerifyResponse, 'referenceWarnings'> {
  return {
    requestId,
    log10Fmr: result.log10Fmr,
    scores: result.scores.map(toWireScore),
    samples: reportSamples(probes, result.compared, result.compared),
    modelVersions: modelVersions.map(toWireModel),
    galleryVersion: result.galleryVersion,
    elapsed: toDuration(elapsedMs),
  };
}

const EMPTY_SCOPES: Record<DomainEmptyScope, EmptyScope> = {
  'no-subject': EmptyScope.NO_SUBJECT,
  'no-reference': EmptyScope.NO_REFERENCE,
};

function toWireScore({
  probe,
  referenceId,
  score,
  log10Fmr,
  extrapolated,
  explanation,
}: DomainSampleScore): SampleScore {
  const { sampleIndex, viewIndex, template } = probe;
  return {
    sampleIndex,
    viewIndex,
    modality: template.modality === 'finger' ? Modality.FINGER : Modality.FACE,
    fingerPosition: template.modality === 'finger' ? template.position : 0,
    referenceId: referenceId ?? '',
    score,
    log10Fmr,
    extrapolated,
    explanation: explanation && toWireExplanation(explanation),
  };
}

function toWireModel({ modality, ...version }: DomainModelVersion): ModelVersion {
  return { modality: modality === 'finger' ? Modality.FINGER : Modality.FACE, ...version };
}
