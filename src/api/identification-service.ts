import { Failure } from '../failure.ts';
import type { Quarantine } from '../gallery/quarantine.ts';
import type { CurrentGallery } from '../gallery/served-gallery.ts';
import type { AdmissionQueue } from '../matching/search/admission.ts';
import type { Band as DomainBand, SampleScore as DomainSampleScore } from '../matching/search/candidate-list.ts';
import { identify, type EmptyScope as DomainEmptyScope, type SearchResult } from '../matching/search/identification.ts';
import type { AuditFigures, IndexAudit } from '../matching/search/index-audit.ts';
import type { Calibrations } from '../matching/rates/calibrations.ts';
import { modelVersions } from '../matching/rates/model-version.ts';
import type { Planner } from '../matching/search/planner.ts';
import { prepareProbes, type Probe } from '../matching/search/probe.ts';
import type { SearchView } from '../matching/search/search-view.ts';
import { shippedVectorModel } from '../matching/model/shipped-model.ts';
import { verifySamples, verifySubject, type VerificationResult } from '../matching/search/verification.ts';
import type { WorkerPool } from '../matching/workers/worker-pool.ts';
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
} from './generated/ridgewatch/v1/identification.ts';
import { Band, Modality, type SampleScore } from './generated/ridgewatch/v1/sample.ts';
import { galleryUnknown } from '../store/store-failure.ts';
import { answerStream } from './identification-stream.ts';
import { PartialTime } from '../matching/search/partial-time.ts';
import { check, identifyRules, verifyRules } from './validation.ts';
import { decodeSamples, reportSamples, type FaceModel } from './wire-samples.ts';
import { toWireExplanation } from './wire-explanation.ts';
import { purposeName } from './wire-names.ts';
import { toWireWarnings, warningFacts, type WarnedView } from './wire-warnings.ts';

/** What the identification service works with. */
export interface IdentificationDependencies {
  readonly served: CurrentGallery;
  readonly planner: Planner;
  readonly audit: IndexAudit;
  readonly pool: WorkerPool;
  readonly admission: AdmissionQueue;
  readonly faceModels: ReadonlyMap<string, FaceModel>;
  /** False positive identification rate when the caller names none. */
  readonly targetFpir: number;
  /** Told of what is odd about samples that were read. */
  countWarnings(warnings: readonly { readonly code: string }[]): void;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
  /** What is stored and damaged. */
  readonly quarantine: Quarantine;
}

interface SearchDependencies extends IdentificationDependencies {
  readonly partialTime: PartialTime;
}

const DEFAULT_CANDIDATES = 10;

/** The `Identification` service: wire to domain and back; no matching logic. */
export function identificationService(
  dependencies: IdentificationDependencies,
  settings: CallSettings,
): IdentificationServer {
  const service = { ...dependencies, partialTime: new PartialTime() };
  return {
    identify: unary('Identification/Identify', settings, (request: IdentifyRequest, context) =>
      answerIdentify(service, request, context),
    ),
    identifyStream: (call) =>
      answerStream(call, settings, (request, context) => answerIdentify(service, request, context)),
    verify: unary('Identification/Verify', settings, (request: VerifyRequest, context) =>
      answerVerify(service, request, context),
    ),
  };
}

async function answerIdentify(
  service: SearchDependencies,
  request: IdentifyRequest,
  context: CallContext,
): Promise<IdentifyResponse> {
  const started = performance.now();
  check(identifyRules, request);
  context.requestId = request.clientRequestId || context.requestId;
  context.note({
    checkpoint_id: request.checkpointId,
    purpose: purposeName(request.purpose),
    sample_count: request.samples.length,
  });
  service.requireReady();
  requireKnown(service.served, request.galleries);
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  noteWarnings(service, context, samples);
  const { threshold } = request;
  const partial = request.allowPartial === true;
  const { probes, search, result } = await service.admission.run({ ...context, kind: 'search', partial }, async () => {
    const probes = await prepareProbes(service.pool, samples);
    requireComparable(probes);
    const choose = (view: SearchView) => service.planner.choose(probes, view, request.exact);
    const limits = partial ? service.partialTime.limits(context.deadlineMs, Date.now()) : undefined;
    const search = {
      probes,
      galleries: new Set(request.galleries),
      maxCandidates: request.maxCandidates || DEFAULT_CANDIDATES,
      threshold:
        threshold?.$case === 'maxLog10Fmr'
          ? { maxLog10Fmr: threshold.value }
          : { targetFpir: threshold?.value ?? service.targetFpir },
      standardFpir: service.targetFpir,
      explain: request.explain === true,
      ...limits,
    };
    let stopped = true;
    try {
      const result = await identify(service.served.current, choose, service.pool, search, context.signal);
      stopped = result.searchedFraction < 1;
      return { probes, search, result };
    } finally {
      if (limits !== undefined && stopped) service.partialTime.note(limits, Date.now());
    }
  });
  if (result.mode === 'indexed') service.audit.note(search);
  const damagedReferenceCount = service.quarantine.unsearched(service.served.current, search.galleries);
  context.note({
    gallery_version: result.galleryVersion,
    comparisons: result.compared.reduce((sum, count) => sum + count, 0),
    search_mode: result.mode,
    searched_fraction: result.searchedFraction,
    candidate_count: result.candidates.length,
    ...(result.emptyScope && { empty_scope: result.emptyScope }),
    ...(damagedReferenceCount > 0 && { damaged_references: damagedReferenceCount }),
  });
  const elapsedMs = performance.now() - started;
  return {
    ...identifyResponse(service.pool, context.requestId, probes, result, service.audit.figures, elapsedMs),
    damagedReferenceCount,
  };
}

function noteWarnings(service: IdentificationDependencies, context: CallContext, views: readonly WarnedView[]): void {
  const warnings = views.flatMap((view) => view.warnings ?? []);
  service.countWarnings(warnings);
  context.note(warningFacts(warnings));
}

/** A search of a gallery by a wrong name would find nobody, whoever stands there. */
function requireKnown({ current }: CurrentGallery, galleries: readonly string[]): void {
  const unknown = galleries.flatMap((name, i) => (current.knows(name) ? [] : [`galleries[${i}]`]));
  if (unknown.length > 0) throw galleryUnknown(...unknown);
}

function requireComparable(probes: readonly Probe[]): void {
  if (probes.some(({ packed }) => packed !== undefined)) return;
  throw new Failure('failed-precondition', 'NOT_COMPARABLE', 'No sample has enough minutiae to be compared.', {
    field: 'samples',
  });
}

async function answerVerify(
  service: IdentificationDependencies,
  request: VerifyRequest,
  context: CallContext,
): Promise<VerifyResponse> {
  const started = performance.now();
  check(verifyRules, request);
  context.requestId = request.clientRequestId || context.requestId;
  context.note({
    checkpoint_id: request.checkpointId,
    purpose: purposeName(request.purpose),
    sample_count: request.samples.length,
  });
  service.requireReady();
  const samples = await decodeSamples(request.samples, service.faceModels, 'samples', context.signal);
  const { claim } = request;
  const references =
    claim?.$case === 'referenceSamples'
      ? await decodeSamples(claim.value.samples, service.faceModels, 'reference_samples.samples', context.signal)
      : undefined;
  noteWarnings(service, context, [...samples, ...(references ?? [])]);
  const { pool, served } = service;
  const explain = request.explain === true;
  const { probes, result } = await service.admission.run({ ...context, kind: 'verification' }, async () => {
    const probes = await prepareProbes(pool, samples);
    requireComparable(probes);
    const result =
      references === undefined
        ? await verifySubject(served.current, pool, probes, claim?.$case === 'subjectId' ? claim.value : '', explain)
        : await verifySamples(served.current, pool, probes, await prepareProbes(pool, references), explain);
    return { probes, result };
  });
  if (claim?.$case === 'subjectId') requireUndamaged(service.quarantine, claim.value, result);
  if (result === undefined) {
    throw new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
  }
  context.note({ gallery_version: result.galleryVersion, comparisons: result.compared.reduce((sum, n) => sum + n, 0) });
  const referenceWarnings = toWireWarnings(references ?? []);
  return { ...verifyResponse(pool, context.requestId, probes, result, performance.now() - started), referenceWarnings };
}

function identifyResponse(
  { calibrations }: WorkerPool,
  requestId: string,
  probes: readonly Probe[],
  result: SearchResult,
  audit: AuditFigures,
  elapsedMs: number,
): Omit<IdentifyResponse, 'damagedReferenceCount'> {
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
    modelVersions: toWireModels(calibrations, probes),
    samples: reportSamples(probes, result.compared, result.inScope),
    truncated: result.truncated,
    elapsed: toDuration(elapsedMs),
    index:
      result.mode === 'exact'
        ? undefined
        : { vectorModelHash: shippedVectorModel().hash, penetration: result.penetration, audit },
    emptyScope: result.emptyScope === undefined ? EmptyScope.UNSPECIFIED : EMPTY_SCOPES[result.emptyScope],
  };
}

/**
 * A sample that met no reference would be taken for one that is not alike. Where there may have been one which is damaged,
 * nothing is said.
 * @throws Failure REFERENCE_DAMAGED
 */
function requireUndamaged(quarantine: Quarantine, subjectId: string, result: VerificationResult | undefined): void {
  if (quarantine.of(subjectId).length === 0) return;
  if (result !== undefined && result.compared.every((count) => count > 0)) return;
  const sentence =
    'A reference of the subject is damaged, and a sample found no other one of its kind. Enrol the samples again: UpdateSubject.';
  throw new Failure('failed-precondition', 'REFERENCE_DAMAGED', sentence, { field: 'subject_id' });
}

function verifyResponse(
  { calibrations }: WorkerPool,
  requestId: string,
  probes: readonly Probe[],
  result: VerificationResult,
  elapsedMs: number,
): Omit<VerifyResponse, 'referenceWarnings'> {
  return {
    requestId,
    log10Fmr: result.log10Fmr,
    scores: result.scores.map(toWireScore),
    samples: reportSamples(probes, result.compared, result.compared),
    modelVersions: toWireModels(calibrations, probes),
    galleryVersion: result.galleryVersion,
    elapsed: toDuration(elapsedMs),
  };
}

const EMPTY_SCOPES: Record<DomainEmptyScope, EmptyScope> = {
  'no-subject': EmptyScope.NO_SUBJECT,
  'no-reference': EmptyScope.NO_REFERENCE,
};

const BANDS: Record<DomainBand, Band> = {
  'no-candidate': Band.NO_CANDIDATE,
  review: Band.REVIEW,
  'strong-candidate': Band.STRONG_CANDIDATE,
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

function toWireModels(calibrations: Calibrations, probes: readonly Probe[]): ModelVersion[] {
  const templates = probes.map(({ template }) => template);
  return modelVersions(calibrations, templates).map(({ modality, ...version }) => ({
    modality: modality === 'finger' ? Modality.FINGER : Modality.FACE,
    ...version,
  }));
}

/** Milliseconds as a google.protobuf.Duration. */
export function toDuration(ms: number): { seconds: number; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
