import type { ServerReadableStream, sendUnaryData } from '@grpc/grpc-js';
import type { Grant } from '../access/grant.ts';
import type { NewSubject } from '../store/records.ts';
import { endCall, reported, unary, type CallContext, type CallSettings } from './call.ts';
import { followCall } from './followed-call.ts';
import { findDuplicates, listTurns, type DuplicateDependencies } from './duplicates.ts';
import { enrollMany, type StreamedRecord } from './enrolment-stream.ts';
import { proposalHandlers, type ProposalDependencies } from './expunge-proposals.ts';
import { prepareEnrolment } from '../enrolment/enrolment.ts';
import {
  Subject,
  type EnrollRequest,
  type EnrollResponse,
  type EnrollStreamRequest,
  type EnrollStreamResponse,
  type ExpungeSubjectRequest,
  type FindDuplicatesRequest,
  type GalleryServer,
  type GetSubjectRequest,
  type GetSubjectResponse,
  type ListSubjectsRequest,
  type ListSubjectsResponse,
  type UpdateSubjectRequest,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { PageTokens } from './page-token.ts';
import { maySee, permitStoring, subjectNotFound } from './permissions.ts';
import { check, listRules, subjectIdRules } from '../contract/validation.ts';
import { authorOf, expungeSubject, updateSubject, type SubjectChangeDependencies } from './subject-changes.ts';
import { historyHandlers, type HistoryDependencies } from './subject-history.ts';
import { faultOf } from './watched-call.ts';
import { toWireSubject } from '../contract/wire-subjects.ts';
import { warningFacts } from '../contract/wire-warnings.ts';

export interface GalleryDependencies
  extends SubjectChangeDependencies, DuplicateDependencies, ProposalDependencies, HistoryDependencies {
  /** Maximum number of records in one EnrollStream. */
  readonly maxStreamRecords: number;
}

const DEFAULT_PAGE = 100;
/** Size limit of a page's subjects, in bytes. Encoding a page must not block other calls. */
const MAX_PAGE_BYTES = 1_048_576;
/** Subjects read per query: each may hold two megabytes of templates. */
const SUBJECTS_PER_READ = 25;
/** Subjects read for one page, of which the caller may see only some. */
const MAX_READ = 5000;
/** Size limit of the tag and length before a subject in its page. */
const MAX_FRAME_BYTES = 6;
/** Size limit of the token at the end of a page, in bytes. */
const MAX_TOKEN_BYTES = 256;

/** The `Gallery` service. A call that changes a subject returns after the change is on disk and searchable. */
export function galleryService(service: GalleryDependencies, settings: CallSettings): GalleryServer {
  const pageTokens = new PageTokens();
  const turns = listTurns();
  return {
    enroll: unary('Gallery/Enroll', settings, (request: EnrollRequest, context) => enroll(service, request, context)),
    enrollStream: (call, callback) => enrollStream(service, call, callback, settings),
    getSubject: unary('Gallery/GetSubject', settings, (request: GetSubjectRequest, context) =>
      getSubject(service, request, context),
    ),
    listSubjects: unary('Gallery/ListSubjects', settings, (request: ListSubjectsRequest, context) =>
      listSubjects(service, request, pageTokens, context),
    ),
    updateSubject: unary('Gallery/UpdateSubject', settings, (request: UpdateSubjectRequest, context) =>
      updateSubject(service, request, context),
    ),
    expungeSubject: unary('Gallery/ExpungeSubject', settings, (request: ExpungeSubjectRequest, context) =>
      expungeSubject(service, request, context),
    ),
    ...proposalHandlers(service, settings),
    ...historyHandlers(service, settings),
    findDuplicates: unary('Gallery/FindDuplicates', settings, (request: FindDuplicatesRequest, context) =>
      findDuplicates(service, turns, request, context),
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
  const grant = permitStoring(service, context, subject);
  // Past this point the call runs to completion: a change made known by halves is worse than a late answer.
  context.signal.throwIfAborted();
  const newGalleries = service.follower.newAmong(subject.galleries);
  const enrolled = await service.store.enroll(subject, references, clientRequest, context, authorOf(context));
  // What follows may fail, or come too late: the change is made.
  context.account({ subject_id: enrolled.subject.subjectId, gallery_version: enrolled.seq });
  await service.follower.advanceTo(enrolled.seq, packed);
  // A repeated request is answered with the subject as it is now: its caveats may have changed since.
  if (enrolled.repeated && !maySee(grant, enrolled.subject)) throw subjectNotFound();
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
  const method = 'Gallery/EnrollStream';
  const followed = followCall(call, settings, false);
  const fault = faultOf(call.metadata);
  void reported(method, followed, settings, async (context) => {
    service.requireReady();
    const limits = { records: service.maxStreamRecords, answerBytes: service.maxMessageBytes };
    const records = call as AsyncIterable<StreamedRecord>;
    const permit = (subject: NewSubject) => void permitStoring(service, context, subject);
    const noteCounts = ({ enrolledCount, refusedCount, endedEarly }: EnrollStreamResponse) =>
      context.note({
        enrolled_count: enrolledCount,
        refused_count: refusedCount,
        ...(endedEarly && { ended_early: true }),
      });
    const recordEnrolled = (subjects: readonly string[]) => context.recordEarly({ subjects: [...subjects] });
    const parts = { ...service, permit, noteCounts, recordEnrolled, author: authorOf(context) };
    const response = await enrollMany(parts, records, limits, followed, fault);
    // The gate let the caller in; without a record that could be read, nothing was asked.
    if (!context.isAuthorized) context.authorize({ purpose: 'none', galleries: [] });
    return response;
  }).then((outcome) => {
    followed.release();
    endCall(method, settings, callback, outcome);
  });
}

async function getSubject(
  service: GalleryDependencies,
  request: GetSubjectRequest,
  context: CallContext,
): Promise<GetSubjectResponse> {
  check(subjectIdRules, request);
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  context.account({ subject_id: request.subjectId });
  // Templates are read for those who may see them only: the time of an answer must not tell that there are any.
  const facts = await service.store.facts(request.subjectId, context);
  if (facts === undefined || !maySee(grant, facts)) throw subjectNotFound();
  const found = await service.store.get(request.subjectId, context);
  if (found === undefined || !maySee(grant, found.subject)) throw subjectNotFound();
  service.quarantine.add(found.damaged ?? []);
  return { subject: toWireSubject(found) };
}

async function listSubjects(
  service: GalleryDependencies,
  request: ListSubjectsRequest,
  pageTokens: PageTokens,
  context: CallContext,
): Promise<ListSubjectsResponse> {
  check(listRules, request);
  const grant = context.authorize({ purpose: 'none', galleries: request.gallery === '' ? [] : [request.gallery] });
  const page = await service.store.listing(context, () =>
    readPage(service, request, pageTokens, grant, context.signal),
  );
  context.account({ subjects: page.subjects.map(({ subjectId }) => subjectId) });
  context.note({ subject_count: page.subjects.length });
  return page;
}

/**
 * Reads a page, up to the requested number of subjects or the size limit.
 * @param signal - aborted when the caller no longer waits for the page
 */
async function readPage(
  service: GalleryDependencies,
  request: ListSubjectsRequest,
  pageTokens: PageTokens,
  grant: Grant,
  signal: AbortSignal,
): Promise<ListSubjectsResponse> {
  const { gallery, contributor } = request;
  const filters = `${grant.client.clientId}/${gallery}/${contributor}`;
  const limit = request.pageSize || DEFAULT_PAGE;
  const filter = { gallery: gallery || undefined, contributor: contributor || undefined };
  const subjects: Subject[] = [];
  let bytesLeft = Math.min(MAX_PAGE_BYTES, service.maxMessageBytes - MAX_TOKEN_BYTES);
  let afterSubjectId = request.pageToken === '' ? undefined : pageTokens.read(request.pageToken, filters);
  let read = 0;
  const endedHere = () => ({ subjects, nextPageToken: pageTokens.make(afterSubjectId ?? '', filters) });
  for (;;) {
    signal.throwIfAborted();
    const isFull = subjects.length === limit;
    // A caller that may see few subjects gets pages of few.
    if (read > MAX_READ && afterSubjectId !== undefined) return endedHere();
    const wanted = isFull ? 1 : Math.min(SUBJECTS_PER_READ, limit - subjects.length);
    const found = await service.store.list({ ...filter, limit: wanted, afterSubjectId });
    service.quarantine.add(found.flatMap((one) => one.damaged ?? []));
    if (found.length === 0) break;
    read += found.length;
    for (const one of found) {
      if (!maySee(grant, one.subject)) {
        afterSubjectId = one.subject.subjectId;
        continue;
      }
      // Only a subject that the caller may see makes another page: the others must not show.
      if (isFull) return endedHere();
      const subject = toWireSubject(one);
      bytesLeft -= Subject.encode(subject).finish().length + MAX_FRAME_BYTES;
      // A subject larger than the size limit gets a page of its own.
      if (bytesLeft < 0 && subjects.length > 0) return endedHere();
      subjects.push(subject);
      afterSubjectId = subject.subjectId;
    }
  }
  if (subjects.length === 0 && gallery !== '') await service.store.requireGallery(gallery);
  return { subjects, nextPageToken: '' };
}
