import { createHash } from 'node:crypto';
import { v7 as newId } from 'uuid';
import { Failure } from '../failure.ts';
import type { ChangeFollower, PackedReferences } from '../gallery/change-follower.ts';
import type { Quarantine } from '../gallery/quarantine.ts';
import { minutiaCountOf, prepareProbes } from '../matching/search/probe.ts';
import type { WorkerPool } from '../matching/workers/worker-pool.ts';
import type { NewReference, NewSubject } from '../store/records.ts';
import type { SubjectStore } from '../store/subject-store.ts';
import { EnrollRequest, type SubjectData } from '../contract/generated/ridgewatch/v1/gallery.ts';
import type { Sample, SampleWarning } from '../contract/generated/ridgewatch/v1/sample.ts';
import { check, enrollRules } from '../contract/validation.ts';
import { handlingOf } from '../contract/wire-handling.ts';
import { provenanceName } from '../contract/wire-names.ts';
import { decodeSamples, decodeSamplesAtOnce, type FaceModel, type RequestSample } from '../contract/wire-samples.ts';
import { dataWarnings, toWireWarnings } from '../contract/wire-warnings.ts';

/** Requirements for samples. */
export interface SampleRules {
  readonly faceModels: ReadonlyMap<string, FaceModel>;
  /** Samples with a stated quality below this are refused, 0 to 100; 0: no requirement. */
  readonly minimumQuality: number;
}

/** Dependencies of enrolment. */
export interface EnrolmentDependencies extends SampleRules {
  readonly store: SubjectStore;
  readonly follower: ChangeFollower;
  readonly pool: WorkerPool;
  /** Called for each refused record of a stream; refused calls are counted elsewhere. */
  countRefusal(failure: Failure): void;
  /** Called with the warnings about accepted samples. */
  countWarnings(warnings: readonly { readonly code: string }[]): void;
  /** The damaged references of the store. */
  readonly quarantine: Quarantine;
}

/** A request that passed every check, ready for the store. */
export interface PreparedEnrolment {
  readonly subject: NewSubject;
  readonly references: readonly NewReference[];
  readonly packed: PackedReferences;
  readonly warnings: readonly SampleWarning[];
  readonly clientRequest: { readonly id: string; readonly digest: Uint8Array } | undefined;
}

/** A request with decoded samples. */
export interface DecodedEnrolment {
  readonly request: EnrollRequest;
  readonly data: SubjectData;
  readonly samples: readonly RequestSample[];
}

/**
 * Checks a request and converts it to the store's form. Has no side effects: a refused request leaves no trace.
 * @throws Failure that names the field
 */
export async function prepareEnrolment(
  service: EnrolmentDependencies,
  request: EnrollRequest,
): Promise<PreparedEnrolment> {
  return packEnrolment(service, await decodeRequest(service, request));
}

/** First stage: checks and decodes, on the calling thread. */
export async function decodeRequest(rules: SampleRules, request: EnrollRequest): Promise<DecodedEnrolment> {
  const data = checkedData(request);
  return { request, data, samples: await decodeReferences(rules, request.samples) };
}

/**
 * Second stage: packs the samples on worker threads.
 * @throws Failure RECORD_CLASSES_EXHAUSTED, NOT_COMPARABLE
 */
export async function packEnrolment(
  { pool, follower }: Pick<EnrolmentDependencies, 'pool' | 'follower'>,
  { request, data, samples }: DecodedEnrolment,
): Promise<PreparedEnrolment> {
  const columns = subjectColumns(data);
  requireRoomForClass(follower, columns);
  const { references, packed, warnings } = await packReferences(pool, samples);
  return {
    subject: { subjectId: newId(), ...columns },
    references,
    packed,
    warnings: [...warnings, ...dataWarnings(data)],
    clientRequest:
      request.clientRequestId === '' ? undefined : { id: request.clientRequestId, digest: digestOf(request) },
  };
}

/**
 * Checks everything in a request except the content of its templates.
 * @throws Failure INVALID_REQUEST
 */
export function checkedData(request: EnrollRequest): SubjectData {
  check(enrollRules, request);
  const { data } = request;
  if (data === undefined) throw new Failure('invalid-argument', 'INVALID_REQUEST', 'is required', { field: 'data' });
  return data;
}

/** New references, their packed forms, and the warnings about their samples. */
export interface ReferencesToAdd {
  readonly references: NewReference[];
  readonly packed: PackedReferences;
  readonly warnings: SampleWarning[];
}

/**
 * Decodes samples into references.
 * @throws Failure for samples that are malformed or below the minimum quality, or if none is comparable
 */
export async function prepareReferences(
  service: EnrolmentDependencies,
  samples: readonly Sample[],
): Promise<ReferencesToAdd> {
  return packReferences(service.pool, await decodeReferences(service, samples));
}

async function decodeReferences(rules: SampleRules, samples: readonly Sample[]): Promise<RequestSample[]> {
  return requireQualities(await decodeSamples(samples, rules.faceModels, 'samples'), rules.minimumQuality);
}

async function packReferences(pool: WorkerPool, decoded: readonly RequestSample[]): Promise<ReferencesToAdd> {
  const probes = await prepareProbes(pool, decoded);
  return referencesOf(
    decoded,
    probes.map(({ packed }) => packed?.packed),
  );
}

/**
 * Decodes samples without yielding and checks their quality. For threads that serve no other work.
 * @throws Failure for samples that are malformed, of an unknown face model, or below the minimum quality
 */
export function decodeForEnrolment(
  samples: readonly Sample[],
  { faceModels, minimumQuality }: SampleRules,
): RequestSample[] {
  return requireQualities(decodeSamplesAtOnce(samples, faceModels, 'samples'), minimumQuality);
}

function requireQualities(decoded: RequestSample[], minimum: number): RequestSample[] {
  for (const { sampleIndex, template } of decoded) requireQuality(sampleIndex, template.quality, minimum);
  return decoded;
}

/**
 * Makes references from decoded samples.
 * @param packed - packed forms in the same order; undefined for a sample with too few minutiae
 * @throws Failure NOT_COMPARABLE
 */
export function referencesOf(
  decoded: readonly RequestSample[],
  packed: readonly (Uint8Array | undefined)[],
): ReferencesToAdd {
  if (packed.every((one) => one === undefined)) {
    const sentence = 'No sample has enough minutiae to be compared; the subject could never be found.';
    throw new Failure('failed-precondition', 'NOT_COMPARABLE', sentence, { field: 'samples' });
  }
  const byId = new Map<string, Uint8Array>();
  const references = decoded.map((sample, i) => {
    const bytes = packed[i];
    const reference = toNewReference(sample, bytes !== undefined);
    if (bytes !== undefined) byId.set(reference.referenceId, bytes);
    return reference;
  });
  return { references, packed: byId, warnings: toWireWarnings(decoded) };
}

/**
 * @param planned - a subject as it is to be stored
 * @throws Failure RECORD_CLASSES_EXHAUSTED
 */
export function requireRoomForClass(
  follower: Pick<ChangeFollower, 'hasRoomForClass'>,
  planned: Pick<NewSubject, 'contributor' | 'caveats' | 'provenance'>,
): void {
  if (follower.hasRoomForClass(planned)) return;
  const sentence =
    'There are too many combinations of contributor, caveats and provenance. Use caveats that other subjects have.';
  throw new Failure('resource-exhausted', 'RECORD_CLASSES_EXHAUSTED', sentence, { field: 'data.caveats' });
}

/** The stored form of a subject's data. */
export function subjectColumns(data: SubjectData): Omit<NewSubject, 'subjectId'> {
  return {
    contributor: data.contributor,
    externalId: data.externalId === '' ? undefined : data.externalId,
    galleries: [...data.galleries].sort(),
    caveats: [...data.caveats].sort(),
    provenance: provenanceName(data.provenance),
    expireTime: data.expireTime,
    reviewTime: data.reviewTime,
    suspended: data.suspended,
    minorUntil: data.minorUntil,
    handling: data.handling && handlingOf(data.handling),
  };
}

function requireQuality(sampleIndex: number, quality: number, minimum: number): void {
  if (quality === 0 || quality >= minimum) return;
  throw new Failure(
    'failed-precondition',
    'QUALITY_TOO_LOW',
    `The sample's quality is below the minimum of ${minimum}.`,
    {
      field: `samples[${sampleIndex}].quality`,
      metadata: { minimum_quality: String(minimum) },
    },
  );
}

function toNewReference(sample: RequestSample, comparable: boolean): NewReference {
  const { template, record, storedFormat, format, captureTime } = sample;
  const isFinger = template.modality === 'finger';
  return {
    referenceId: newId(),
    modality: template.modality,
    fingerPosition: isFinger ? template.position : 0,
    format,
    storedFormat,
    quality: template.quality,
    modelId: isFinger ? undefined : template.modelId,
    dimension: isFinger ? undefined : template.dimension,
    minutiaCount: minutiaCountOf(template),
    comparable,
    captureTime,
    template: record,
  };
}

/**
 * SHA-256 of the request without its client_request_id. Distinguishes a repetition from a different request with the
 * same id.
 */
export function digestOf(request: EnrollRequest): Uint8Array {
  const content = EnrollRequest.encode({ ...request, clientRequestId: '' }).finish();
  return createHash('sha256').update(content).digest();
}
