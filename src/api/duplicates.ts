import { Failure } from '../failure.ts';
import { FairTurns } from '../fair-turns.ts';
import type { ActiveGallery } from '../gallery/active-gallery.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { Grant } from '../access/grant.ts';
import { factsAt, searchRulesOf } from './class-masks.ts';
import { disclosePairs, pairLimit, type PairDisclosure } from './disclosed-duplicates.ts';
import { isWatched, NO_RECORD } from './safeguards.ts';
import { isFound, masksOf, type Scope } from '../gallery/scope.ts';
import { subjectsAfter } from '../gallery/subject-listing.ts';
import type {
  DuplicatePair,
  FindDuplicatesRequest,
  FindDuplicatesResponse,
} from '../contract/generated/ridgewatch/v1/gallery.ts';
import { check, duplicateRules } from '../contract/validation.ts';
import { toThreshold } from '../contract/wire-threshold.ts';
import type { DuplicateQuery, Searcher } from '../matching/search/searcher.ts';
import type { CallContext } from './call.ts';

export interface DuplicateDependencies {
  readonly served: Pick<ActiveGallery, 'current'>;
  readonly searcher: Searcher;
  /** The service's own FPIR. */
  readonly targetFpir: number;
  /** Size limit of an answer, in bytes; at least 65,536. */
  readonly maxMessageBytes: number;
  /** @throws Failure while the gallery is not searchable */
  requireReady(): void;
}

const DEFAULT_COVERED = 100;
const DEFAULT_DUPLICATES = 5;
/** Pairs of one answer: about a megabyte. */
const MAX_PAIRS = 10_000;
/** Size limit of a pair in an answer, and of the rest of the answer. */
const MAX_PAIR_BYTES = 100;
const MAX_REST_BYTES = 256;
/** Share of the time until the deadline in which searches are to end. */
const USED_SHARE = 0.75;
/** Pairs of a subject before they are cut: hardly any has more. */
const COARSE_LIST = 100;
/** Calls that may wait for their list of subjects. */
const MAX_WAITING_LISTS = 256;
/** Limits of target_fpir in the contract. */
const MIN_FPIR = 1e-9;
const MAX_FPIR = 0.5;

/**
 * Turns for listing subjects. A list reads all subjects in memory on the main thread: many at a time would hold up every
 * other call.
 */
export function listTurns(): FairTurns {
  const sentence = 'Too many calls wait for a list of subjects; try again shortly.';
  const full = () => new Failure('resource-exhausted', 'QUEUE_FULL', sentence, { retryAfterMs: 1000 });
  return new FairTurns(1, MAX_WAITING_LISTS, full);
}

/**
 * Covers subjects one after the other. Each search takes its turn among those of all callers. What was found is
 * answered where a further search would come too late, or is refused because too many wait.
 * @param turns - see listTurns; the same for all calls
 */
export async function findDuplicates(
  service: DuplicateDependencies,
  turns: FairTurns,
  request: FindDuplicatesRequest,
  context: CallContext,
): Promise<FindDuplicatesResponse> {
  check(duplicateRules, request);
  const grant = context.authorize({ purpose: 'none', galleries: request.galleries });
  service.requireReady();
  const { searcher, served } = service;
  served.current.requireKnown(request.galleries);
  const scope: Scope = { galleries: grant.galleries, ...searchRulesOf(grant, served.current) };
  const time = new SearchTime(context.deadlineMs);
  const wanted = request.maxSubjects || DEFAULT_COVERED;
  // Ids only: a whole gallery would stay in memory with its subjects, although another one has replaced it.
  const { subjectIds, query, disclosure } = await turns.run(context, () =>
    planned(service, request, scope, wanted, grant, context.signal),
  );
  const maxPairs = Math.min(MAX_PAIRS, Math.floor((service.maxMessageBytes - MAX_REST_BYTES) / MAX_PAIR_BYTES));
  const pairs: DuplicatePair[] = [];
  let [passed, covered, notComparable, indexed, truncated] = [0, 0, 0, 0, 0];
  let galleryVersion = served.current.version;
  for (const subjectId of subjectIds.slice(0, wanted)) {
    if (covered > 0 && (time.isUp || pairs.length + disclosure.maxDuplicates > maxPairs)) break;
    const found = await time
      .of(() => searcher.duplicatesOf(subjectId, query, context))
      .catch((error: unknown) => {
        if (covered > 0 && error instanceof Failure && error.kind === 'resource-exhausted') return 'refused' as const;
        throw error;
      });
    if (found === 'refused') break;
    passed++;
    if (found === 'gone') continue;
    covered++;
    if (found === 'not-comparable') {
      notComparable++;
      continue;
    }
    galleryVersion = found.galleryVersion;
    if (found.mode === 'indexed') indexed++;
    const disclosed = disclosePairs(subjectId, found, disclosure);
    if (disclosed.truncated) truncated++;
    pairs.push(...disclosed.pairs);
  }
  // Some may have been expunged or suspended since they were found, or be of a masked class now.
  const instantMs = served.current.now();
  const everywhere: Scope = { ...scope, galleries: new Set() };
  const isPresent = (subjectId: string) => {
    const subject = served.current.subject(subjectId);
    return subject !== undefined && isFound(subject, everywhere, instantMs);
  };
  const present = pairs.filter((pair) => isPresent(pair.subjectId) && isPresent(pair.otherSubjectId));
  const compared = subjectIds.slice(0, passed);
  context.account({ subjects: [...new Set([...compared, ...present.map((pair) => pair.otherSubjectId)])] });
  context.note({ gallery_version: galleryVersion, subject_count: covered, pair_count: present.length });
  return {
    pairs: present,
    nextAfterSubjectId: passed < subjectIds.length ? (subjectIds[passed - 1] ?? '') : '',
    subjectsCovered: covered,
    subjectsNotComparable: notComparable,
    indexedSearches: indexed,
    truncatedSubjects: truncated,
    galleryVersion,
  };
}

/** @param wanted - one more subject is listed: it tells whether another call is needed */
async function planned(
  { served, targetFpir }: DuplicateDependencies,
  request: FindDuplicatesRequest,
  scope: Scope,
  wanted: number,
  grant: Grant,
  signal: AbortSignal,
): Promise<Plan> {
  for (const mask of masksOf(scope)) await mask.prepare(signal);
  const gallery = served.current;
  const instantMs = gallery.now();
  const isWanted = (subject: SubjectEntry) => isFound(subject, scope, instantMs);
  const listed = await subjectsAfter(gallery, request.afterSubjectId, wanted + 1, isWanted, signal);
  const subjects = gallery.subjectsInScope(scope, instantMs);
  const asked = toThreshold(request.threshold) ?? oneFalsePair(subjects);
  const limitLog10 = pairLimit(asked, targetFpir, subjects);
  const maxDuplicates = request.maxDuplicates || DEFAULT_DUPLICATES;
  const exactOf = (subjectId: string) => {
    const subject = served.current.subject(subjectId);
    return grant.discloses(subject === undefined ? NO_RECORD : factsAt(subject, instantMs)).rates === 'exact';
  };
  // A call answers about many subjects: their budgets cannot count it, so no policy makes its rates exact.
  const isCoarse = isWatched(grant);
  return {
    subjectIds: listed.map(({ subjectId }) => subjectId),
    query: {
      scope,
      // Which of equal rounded rates are shown must not depend on the exact ones.
      maxDuplicates: Math.max(maxDuplicates, COARSE_LIST),
      threshold: isCoarse ? { maxLog10Fmr: limitLog10 } : asked,
    },
    disclosure: {
      isExact: (...pair) => !isCoarse && pair.every(exactOf),
      limitLog10,
      subjects,
      maxDuplicates,
    },
  };
}

interface Plan {
  readonly subjectIds: readonly string[];
  readonly query: DuplicateQuery;
  readonly disclosure: PairDisclosure;
}

/** Decides by the searches until now whether another one would end in time. */
class SearchTime {
  readonly #untilMs: number;
  #longestMs = 0;

  /** @param deadlineMs - in milliseconds since 1970 */
  constructor(deadlineMs: number) {
    this.#untilMs = Date.now() + USED_SHARE * (deadlineMs - Date.now());
  }

  get isUp(): boolean {
    return Date.now() + this.#longestMs >= this.#untilMs;
  }

  async of<T>(search: () => Promise<T>): Promise<T> {
    const started = Date.now();
    const result = await search();
    this.#longestMs = Math.max(this.#longestMs, Date.now() - started);
    return result;
  }
}

/** As many searches as there are subjects, with one false pair among all of them: the FPIR is 1 / subjects. */
function oneFalsePair(subjects: number): DuplicateQuery['threshold'] {
  return { targetFpir: Math.min(MAX_FPIR, Math.max(MIN_FPIR, 1 / Math.max(1, subjects))) };
}
