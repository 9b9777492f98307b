import type { ServerReadableStream, sendUnaryData } from '@grpc/grpc-js';
import { Failure } from '../failure.ts';
import { listIndexes, sequenceOfName } from '../gallery/index-files/manifest.ts';
import type { ReceiptSigner } from '../security/receipts.ts';
import { followCall, reported, unary, type CallContext, type CallSettings } from './call.ts';
import { enrollMany, type StreamedRecord } from './enrolment-stream.ts';
import { prepareEnrolment, prepareReferences, subjectColumns, type EnrolmentDependencies } from './enrolment.ts';
import type {
  EnrollRequest,
  EnrollResponse,
  EnrollStreamRequest,
  EnrollStreamResponse,
  ExpungeSubjectRequest,
  ExpungeSubjectResponse,
  GalleryServer,
  GetSubjectRequest,
  GetSubjectResponse,
  ListSubjectsRequest,
  ListSubjectsResponse,
  UpdateSubjectRequest,
  UpdateSubjectResponse,
} from './generated/ridgewatch/v1/gallery.ts';
import { PageTokens } from './page-token.ts';
import { toServiceError } from './status.ts';
import { check, expungeRules, listRules, onlyNamedFields, subjectIdRules, updateRules } from './validation.ts';
import { toWireSubject } from './wire-subjects.ts';
import { warningFacts } from './wire-warnings.ts';

export interface GalleryDependencies extends EnrolmentDependencies {
  /** Records that one EnrollStream may bring. */
  readonly mostStreamRecords: number;
  /** Signs what says that somebody was expunged. */
  readonly signer: ReceiptSigner;
  /** Directory of the indexes. */
  readonly indexDir: string;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

const DEFAULT_PAGE = 100;

/** The `Gallery` service: every change is on disk and in force before its call returns. */
export function galleryService(service: GalleryDependencies, settings: CallSettings): GalleryServer {
  const pageTokens = new PageTokens();
  return {
    enroll: unary('Gallery/Enroll', settings, (request: EnrollRequest, context) => enroll(service, request, context)),
    enrollStream: (call, callback) => enrollStream(service, call, callback, settings),
    getSubject: unary('Gallery/GetSubject', settings, (request: GetSubjectRequest) => getSubject(service, request)),
    listSubjects: unary('Gallery/ListSubjects', settings, (request: ListSubjectsRequest) =>
      listSubjects(service, request, pageTokens),
    ),
    updateSubject: unary('Gallery/UpdateSubject', settings, (request: UpdateSubjectRequest, context) =>
      updateSubject(service, request, context),
    ),
    expungeSubject: unary('Gallery/ExpungeSubject', settings, (request: ExpungeSubjectRequest, context) =>
      expungeSubject(service, request, context),
    ),
  };
}

async function enroll(
  service: GalleryDependencies,
  request: EnrollRequest,
  context: CallContext,
): Promise<EnrollResponse> {
  service.requireReady();
  const { subject, references, packed, warnings, clientRequest } = await prepareEnrolment(service, request);
  // From here on the call is carried through: a change that is half made known would be worse than a late answer.
  context.signal.throwIfAborted();
  const newGalleries = service.follower.newAmong(subject.galleries);
  const enrolled = await service.store.enroll(subject, references, clientRequest);
  await service.follower.advanceTo(enrolled.seq, packed);
  context.note({
    reference_count: references.length,
    gallery_version: enrolled.seq,
    repeated_request: enrolled.repeated,
    ...warningFacts(warnings),
    ...(newGalleries.length > 0 && { new_gallery_count: newGalleries.length }),
  });
  service.countWarnings(warnings);
  return {
    subject: toWireSubject(enrolled),
    galleryVersion: enrolled.seq,
    repeatedRequest: enrolled.repeated,
    newGalleries,
    warnings: [...warnings],
  };
}

function enrollStream(
  service: GalleryDependencies,
  call: ServerReadableStream<EnrollStreamRequest, EnrollStreamResponse>,
  callback: sendUnaryData<EnrollStreamResponse>,
  settings: CallSettings,
): void {
  const followed = followCall(call, settings, false);
  void reported('Gallery/EnrollStream', followed, settings, async (context) => {
    service.requireReady();
    const response = await enrollMany(
      service,
      call as AsyncIterable<StreamedRecord>,
      service.mostStreamRecords,
      followed.signal,
    );
    context.note({ enrolled_count: response.enrolledCount, refused_count: response.refusedCount });
    return response;
  }).then((outcome) => {
    followed.release();
    if ('failure' in outcome) callback(toServiceError(outcome.failure));
    else callback(null, outcome.response);
  });
}

async function getSubject(service: GalleryDependencies, request: GetSubjectRequest): Promise<GetSubjectResponse> {
  check(subjectIdRules, request);
  const found = await service.store.get(request.subjectId);
  if (found === undefined) throw subjectNotFound();
  service.quarantine.add(found.damaged ?? []);
  return { subject: toWireSubject(found) };
}

async function listSubjects(
  service: GalleryDependencies,
  request: ListSubjectsRequest,
  pageTokens: PageTokens,
): Promise<ListSubjectsResponse> {
  check(listRules, request);
  const { gallery, contributor } = request;
  const filters = `${gallery}/${contributor}`;
  const limit = request.pageSize || DEFAULT_PAGE;
  const found = await service.store.list({
    gallery: gallery || undefined,
    contributor: contributor || undefined,
    // One more than asked for tells whether there is another page.
    limit: limit + 1,
    afterSubjectId: request.pageToken === '' ? undefined : pageTokens.read(request.pageToken, filters),
  });
  service.quarantine.add(found.flatMap((one) => one.damaged ?? []));
  if (found.length === 0 && gallery !== '') await service.store.requireGallery(gallery);
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    subjects: page.map(toWireSubject),
    nextPageToken: found.length > limit && last ? pageTokens.make(last.subject.subjectId, filters) : '',
  };
}

async function updateSubject(
  service: GalleryDependencies,
  request: UpdateSubjectRequest,
  context: CallContext,
): Promise<UpdateSubjectResponse> {
  check(updateRules, onlyNamedFields(request));
  service.requireReady();
  const mask = new Set(request.updateMask);
  const { references, packed, warnings } = mask.has('samples')
    ? await prepareReferences(service, request.samples)
    : { references: undefined, packed: new Map<string, Uint8Array>(), warnings: [] };
  const columns = request.data === undefined ? undefined : subjectColumns(request.data);
  const patch = {
    ...(mask.has('data.external_id') && { externalId: columns?.externalId ?? null }),
    ...(mask.has('data.galleries') && { galleries: columns?.galleries }),
    ...(mask.has('data.caveats') && { caveats: columns?.caveats }),
    ...(mask.has('data.provenance') && { provenance: columns?.provenance }),
    ...(mask.has('data.expire_time') && { expireTime: columns?.expireTime ?? null }),
  };
  context.signal.throwIfAborted();
  const newGalleries = service.follower.newAmong(patch.galleries ?? []);
  const updated = await service.store.update(
    request.subjectId,
    request.expectedVersion || undefined,
    patch,
    references,
  );
  await service.follower.advanceTo(updated.seq, packed);
  context.note({
    gallery_version: updated.seq,
    ...warningFacts(warnings),
    ...(newGalleries.length > 0 && { new_gallery_count: newGalleries.length }),
  });
  service.countWarnings(warnings);
  return { subject: toWireSubject(updated), galleryVersion: updated.seq, newGalleries, warnings };
}

async function expungeSubject(
  service: GalleryDependencies,
  request: ExpungeSubjectRequest,
  context: CallContext,
): Promise<ExpungeSubjectResponse> {
  check(expungeRules, request);
  service.requireReady();
  const { subjectId, reason } = request;
  const caller = context.caller();
  const indexes = await listIndexes(service.indexDir);
  const { seq, referencesRemoved, receipt } = await service.store.expunge(subjectId, reason, (removed) =>
    service.signer.sign({
      subjectId,
      change: removed.seq,
      time: removed.at.toISOString(),
      requested_by: caller === '' ? 'a caller without a certificate' : caller,
      reason,
      references_removed: removed.referencesRemoved,
      indexes_affected: indexes.filter((name) => {
        const sequence = sequenceOfName(name);
        return sequence >= removed.firstSeq && sequence < removed.seq;
      }),
    }),
  );
  await service.follower.advanceTo(seq);
  context.note({ gallery_version: seq, reference_count: referencesRemoved });
  return { galleryVersion: seq, referencesRemoved, receipt };
}

function subjectNotFound(): Failure {
  return new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
}
