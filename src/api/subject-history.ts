/** What was changed of a subject, for those who answer for the record. */
import {
  HistoryEntry,
  type GalleryServer,
  type ReadHistoryRequest,
  type ReadHistoryResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { check, historyRules } from '../contract/validation.ts';
import { toWireEntry } from '../contract/wire-history.ts';
import type { SubjectHistories } from '../store/subject-histories.ts';
import { unary, type CallContext, type CallSettings } from './call.ts';
import { maySee, subjectNotFound } from './permissions.ts';
import type { SubjectChangeDependencies } from './subject-changes.ts';

export interface HistoryDependencies extends Pick<SubjectChangeDependencies, 'store'> {
  readonly maxMessageBytes: number;
  readonly histories: SubjectHistories;
}

const DEFAULT_PAGE = 100;
/** Size limit of a page's entries, in bytes. Encoding a page must not block other calls. */
const MAX_PAGE_BYTES = 1_048_576;
/** Size limit of the rest of a page, and of the tag and length before an entry, in bytes. */
const MAX_END_BYTES = 16;
const MAX_FRAME_BYTES = 6;

export function historyHandlers(
  service: HistoryDependencies,
  settings: CallSettings,
): Pick<GalleryServer, 'readHistory'> {
  return {
    readHistory: unary('Gallery/ReadHistory', settings, (request: ReadHistoryRequest, context) =>
      readHistory(service, request, context),
    ),
  };
}

async function readHistory(
  service: HistoryDependencies,
  request: ReadHistoryRequest,
  context: CallContext,
): Promise<ReadHistoryResponse> {
  check(historyRules, request);
  const { subjectId, pageSize, afterGalleryVersion } = request;
  const grant = context.authorize({ purpose: 'none', galleries: [] });
  context.account({ subject_id: subjectId });
  const facts = await service.store.facts(subjectId, context);
  if (facts === undefined || !maySee(grant, facts)) throw subjectNotFound();
  const limit = pageSize === 0 ? DEFAULT_PAGE : pageSize;
  const page = await service.histories.page(subjectId, afterGalleryVersion, limit, context);
  let bytesLeft = Math.min(MAX_PAGE_BYTES, service.maxMessageBytes - MAX_END_BYTES);
  const entries: HistoryEntry[] = [];
  for (const one of page.entries) {
    const entry = toWireEntry(one);
    bytesLeft -= HistoryEntry.encode(entry).finish().length + MAX_FRAME_BYTES;
    // An entry larger than the size limit gets a page of its own.
    if (bytesLeft < 0 && entries.length > 0) break;
    entries.push(entry);
  }
  const hasMore = page.hasMore || entries.length < page.entries.length;
  context.note({ entry_count: entries.length });
  return { entries, nextAfterGalleryVersion: hasMore ? (entries.at(-1)?.galleryVersion ?? 0) : 0 };
}
