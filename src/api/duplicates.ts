import type { ActiveGallery } from '../gallery/active-gallery.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import { inScope } from '../gallery/scopes.ts';
import { subjectsAfter } from '../gallery/subject-listing.ts';
import { isBefore } from '../gallery/subject-filter.ts';
import type {
  DuplicatePair,
  FindDuplicatesRequest,
  FindDuplicatesResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { check, duplicateRules } from '../contract/validation.ts';
import { BANDS } from '../contract/wire-bands.ts';
import type { DuplicateQuery, Searcher } from '../matching/search/searcher.ts';
import type { CallContext } from './call.ts';

export interface DuplicateDependencies {
  readonly served: Pick<ActiveGallery, 'current'>;
  readonly searcher: Searcher;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

const DEFAULT_COVERED = 100;
const DEFAULT_DUPLICATES = 5;
/** Pairs of one answer: about a megabyte. */
const MAX_PAIRS = 10_000;
/** Share of the time until the deadline after which no further subject is begun. */
const USED_SHARE = 0.75;
/** Limits of target_fpir in the contract. */
const MIN_FPIR = 1e-9;
const MAX_FPIR = 0.5;

/** Covers subjects one after the other. Each search takes its turn among those of all callers. */
export async function findDuplicates(
  service: DuplicateDependencies,
  request: FindDuplicatesRequest,
  context: CallContext,
): Promise<FindDuplicatesResponse> {
  check(duplicateRules, request);
  service.requireReady();
  const { searcher } = service;
  const gallery = service.served.current;
  gallery.requireKnown(request.galleries);
  const { signal, deadlineMs } = context;
  const untilMs = Date.now() + USED_SHARE * (deadlineMs - Date.now());
  const galleries = new Set(request.galleries);
  const instantMs = gallery.now();
  const isInScope = (subject: SubjectEntry) =>
    inScope(subject, galleries) && isBefore(instantMs, subject.attributes.expireTimeMs);
  const wanted = request.maxSubjects || DEFAULT_COVERED;
  // One more tells whether another call is needed.
  const listed = await subjectsAfter(gallery, request.afterSubjectId, wanted + 1, isInScope, signal);
  const query: DuplicateQuery = {
    galleries: request.galleries,
    maxDuplicates: request.maxDuplicates || DEFAULT_DUPLICATES,
    threshold: thresholdOf(request, gallery.subjectsInScope(galleries, instantMs)),
  };
  const pairs: DuplicatePair[] = [];
  let [covered, notComparable, indexed, truncated, galleryVersion] = [0, 0, 0, 0, gallery.version];
  for (const subject of listed.slice(0, wanted)) {
    if (covered > 0 && (Date.now() >= untilMs || pairs.length >= MAX_PAIRS)) break;
    const found = await searcher.duplicatesOf(subject, query, context);
    covered++;
    if (found === undefined) {
      notComparable++;
      continue;
    }
    galleryVersion = found.galleryVersion;
    if (found.mode === 'indexed') indexed++;
    if (found.truncated) truncated++;
    for (const { subject: other, log10Fmr, fpir, band } of found.duplicates) {
      const { subjectId } = subject;
      pairs.push({ subjectId, otherSubjectId: other.subjectId, log10Fmr, fpir, band: BANDS[band] });
    }
  }
  context.note({ gallery_version: galleryVersion, subject_count: covered, pair_count: pairs.length });
  return {
    pairs,
    nextAfterSubjectId: covered < listed.length ? (listed[covered - 1]?.subjectId ?? '') : '',
    subjectsCovered: covered,
    subjectsNotComparable: notComparable,
    indexedSearches: indexed,
    truncatedSubjects: truncated,
    galleryVersion,
  };
}

/** As many searches as there are subjects, with one false pair among all of them: the FPIR is 1 / subjects. */
function thresholdOf({ threshold }: FindDuplicatesRequest, subjects: number): DuplicateQuery['threshold'] {
  if (threshold === undefined) return { targetFpir: Math.min(MAX_FPIR, Math.max(MIN_FPIR, 1 / Math.max(1, subjects))) };
  return threshold.$case === 'maxLog10Fmr' ? { maxLog10Fmr: threshold.value } : { targetFpir: threshold.value };
}
