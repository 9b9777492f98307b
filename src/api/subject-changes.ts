/** Changes of enrolled subjects, by those who may change them. */
import {
  prepareReferences,
  requireRoomForClass,
  subjectColumns,
  type EnrolmentDependencies,
} from '../enrolment/enrolment.ts';
import type {
  ExpungeSubjectRequest,
  ExpungeSubjectResponse,
  UpdateSubjectRequest,
  UpdateSubjectResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { check, expungeRules, onlyNamedFields, updateRules } from '../contract/validation.ts';
import { toWireSubject } from '../contract/wire-subjects.ts';
import { dataWarnings, warningFacts } from '../contract/wire-warnings.ts';
import type { Author } from '../store/history-rows.ts';
import type { Removed } from '../store/records.ts';
import type { SubjectFacts } from '../store/subject-facts.ts';
import type { CallContext } from './call.ts';
import { permitStoring, requireMayChange } from './permissions.ts';
import { removalReceipts, type ReceiptDependencies } from './removal-receipts.ts';

export interface SubjectChangeDependencies extends EnrolmentDependencies, ReceiptDependencies {
  /** @throws Failure CAVEAT_UNKNOWN */
  requireKnownCaveats(caveats: readonly string[]): void;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

export async function updateSubject(
  service: SubjectChangeDependencies,
  request: UpdateSubjectRequest,
  context: CallContext,
): Promise<UpdateSubjectResponse> {
  check(updateRules, onlyNamedFields(request));
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  context.account({ subject_id: request.subjectId });
  service.requireReady();
  // Refused before the samples cost anything; decided again on the row that is changed.
  requireMayChange(grant, await service.store.facts(request.subjectId, context));
  const mask = new Set(request.updateMask);
  const {
    references,
    packed,
    warnings: ofSamples,
  } = mask.has('samples')
    ? await prepareReferences(service, request.samples)
    : { references: undefined, packed: new Map<string, Uint8Array>(), warnings: [] };
  const columns = request.data === undefined ? undefined : subjectColumns(request.data);
  const patch = {
    ...(mask.has('data.external_id') && { externalId: columns?.externalId ?? null }),
    ...(mask.has('data.galleries') && { galleries: columns?.galleries }),
    ...(mask.has('data.caveats') && { caveats: columns?.caveats }),
    ...(mask.has('data.provenance') && { provenance: columns?.provenance }),
    ...(mask.has('data.expire_time') && { expireTime: columns?.expireTime ?? null }),
    ...(mask.has('data.review_time') && { reviewTime: columns?.reviewTime ?? null }),
    ...(mask.has('data.suspended') && { suspended: columns?.suspended }),
    ...(mask.has('data.minor_until') && { minorUntil: columns?.minorUntil ?? null }),
    ...(mask.has('data.handling') && { handling: columns?.handling ?? null }),
  };
  const permit = (present: SubjectFacts) => {
    const { contributor } = requireMayChange(grant, present);
    const { galleries = present.galleries, caveats = present.caveats, provenance = present.provenance } = patch;
    const { suspended = present.suspended, minorUntil = present.minorUntil } = patch;
    const limits = { suspended, minorUntil: minorUntil ?? undefined };
    permitStoring(service, context, { contributor, galleries, caveats, provenance, ...limits });
    if (mask.has('data.caveats') || mask.has('data.provenance'))
      requireRoomForClass(service.follower, { contributor, caveats, provenance });
  };
  const { expireTime, reviewTime } = patch;
  const warnings = [
    ...ofSamples,
    ...dataWarnings({ expireTime: expireTime ?? undefined, reviewTime: reviewTime ?? undefined }),
  ];
  context.signal.throwIfAborted();
  const newGalleries = service.follower.newAmong(patch.galleries ?? []);
  const updated = await service.store.update(
    request.subjectId,
    request.expectedVersion || undefined,
    patch,
    references,
    context,
    permit,
    authorOf(context),
  );
  context.account({ gallery_version: updated.seq });
  await service.follower.advanceTo(updated.seq, packed);
  context.note({
    gallery_version: updated.seq,
    ...warningFacts(warnings),
    ...(newGalleries.length > 0 && { new_gallery_count: newGalleries.length }),
  });
  service.countWarnings(warnings);
  return { subject: toWireSubject(updated), galleryVersion: updated.seq, newGalleries, warnings };
}

export async function expungeSubject(
  service: SubjectChangeDependencies,
  request: ExpungeSubjectRequest,
  context: CallContext,
): Promise<ExpungeSubjectResponse> {
  check(expungeRules, request);
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  service.requireReady();
  const { subjectId, reason } = request;
  context.account({ subject_id: subjectId });
  const permit = (present: SubjectFacts | undefined) => void requireMayChange(grant, present);
  // Refused without a lock; decided again on the row that is removed.
  permit(await service.store.facts(subjectId, context));
  const sign = await removalReceipts(service);
  const receiptOf = (removed: Removed) =>
    sign({ subjectId, reason, requested_by: context.principal.client.clientId }, removed);
  const { seq, referencesRemoved, receipt } = await service.store.expunge(
    subjectId,
    reason,
    receiptOf,
    context,
    permit,
  );
  context.account({ gallery_version: seq });
  await service.follower.advanceTo(seq);
  context.note({ gallery_version: seq, reference_count: referencesRemoved });
  return { galleryVersion: seq, referencesRemoved, receipt };
}

/** The client that a subject's history names for a change by this call. */
export function authorOf({ principal }: Pick<CallContext, 'principal'>): Author {
  const { clientId, agency } = principal.client;
  return { clientId, agency };
}
