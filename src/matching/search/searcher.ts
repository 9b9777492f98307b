/** The use cases of matching, 1:N and 1:1: from decoded samples to a result, independent of the transport. */
import { Failure } from '../../failure.ts';
import type { Quarantine } from '../../gallery/quarantine.ts';
import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import { isFound, mayBeKnown, type ClassRules, type Scope } from '../../gallery/scope.ts';
import { mayBeStrong } from '../../gallery/record-life.ts';
import { modelVersions, type ModelVersion } from '../rates/model-version.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { Asker } from '../../fair-turns.ts';
import type { AdmissionQueue } from './admission.ts';
import { withoutGone, type Candidate } from './candidate-list.ts';
import { enrolledProbes } from './enrolled-probes.ts';
import { identify, type FirstHit, type SearchRequest, type SearchResult } from './identification.ts';
import { modalitiesOf, type AuditFigures } from './audit-figures.ts';
import type { CandidateSource } from './candidate-source.ts';
import type { IndexAudit } from './index-audit.ts';
import { PartialTime } from './partial-time.ts';
import type { Planner } from './planner.ts';
import { prepareProbes, type Probe, type SampleTemplate } from './probe.ts';
import type { SearchView } from './search-view.ts';
import { settled } from './settled.ts';
import { verifySamples, verifySubject, type VerificationResult } from './verification.ts';

/** Dependencies of the searcher. */
export interface SearcherParts {
  readonly served: CurrentGallery;
  readonly planner: Planner;
  readonly audit: IndexAudit;
  readonly pool: WorkerPool;
  readonly admission: AdmissionQueue;
  /** Damaged stored references. */
  readonly quarantine: Quarantine;
  /** FPIR that applies where a query states no threshold. */
  readonly targetFpir: number;
}

/** The caller and its deadline. The signal is aborted, with a reason, when the result is no longer wanted. */
export interface Patience extends Asker {
  /** In milliseconds since 1970; Infinity: unknown. */
  readonly deadlineMs: number;
}

/** A 1:N search, as a caller states it. */
export interface IdentifyQuery extends ClassRules {
  readonly samples: readonly SampleTemplate[];
  /** Gallery names; empty: all galleries. */
  readonly galleries: readonly string[];
  /** Record classes that are searched beside these, and whose subjects are in no list for the caller. */
  readonly unshown?: ClassRules | undefined;
  readonly maxCandidates: number;
  /** Called with the probes before they are searched; what it throws ends the search. */
  readonly admit?: ((probes: readonly Probe[]) => void) | undefined;
  /** Undefined: the service's configured FPIR. */
  readonly threshold: SearchRequest['threshold'] | undefined;
  /** Compare with every reference in scope, without any index. */
  readonly isExact: boolean;
  readonly explain: boolean;
  /** Answer with partial results when the time is up. */
  readonly allowPartial: boolean;
  /** Answer as soon as a strong candidate is known. */
  readonly firstHit: boolean;
}

interface Compared<Result> {
  readonly probes: readonly Probe[];
  readonly result: Result;
  /** Of the algorithms used. */
  readonly modelVersions: readonly ModelVersion[];
}

export interface Identified extends Compared<SearchResult> {
  /**
   * The audit's figures for searches with the same modalities by the same index; undefined where no index was used, and
   * for an early list: they hold for complete ones.
   */
  readonly audit: AuditFigures | undefined;
  /** Upper bound of the damaged references that may be in scope and could not be compared. */
  readonly damagedReferences: number;
  /** What was found in the classes that are not shown; undefined: there was no such search, or it has not ended. */
  readonly unshown: SearchResult | undefined;
}

export type Verified = Compared<VerificationResult>;

/** A 1:1 comparison: with an enrolled subject, or with samples. */
export interface VerifyQuery {
  readonly samples: readonly SampleTemplate[];
  readonly claim: { readonly subjectId: string } | { readonly references: readonly SampleTemplate[] };
  /** What the caller may compare with. Other subjects are unknown to it. */
  readonly scope: Scope;
  /** Called with the probes before they are compared; what it throws ends the comparison. */
  readonly admit?: ((probes: readonly Probe[]) => void) | undefined;
  readonly explain: boolean;
}

/** A search for the subjects that resemble an enrolled one. */
export interface DuplicateQuery {
  readonly scope: Scope;
  /** Maximum number of similar subjects. */
  readonly maxDuplicates: number;
  readonly threshold: SearchRequest['threshold'];
}

/** The subjects that resemble an enrolled one, without itself. */
export interface Duplicates extends Pick<SearchResult, 'mode' | 'galleryVersion' | 'truncated'> {
  readonly duplicates: readonly Candidate[];
  /** No pair with this subject is a strong one, whatever its rate. */
  readonly isNeverStrong: boolean;
}

/** Longest list of subjects that are not shown. Hardly any search has more than one. */
const MAX_UNSHOWN = 100;

/** Every method throws Failure QUEUE_FULL, QUEUE_TOO_LONG or NOT_COMPARABLE, or the reason of the caller's signal. */
export class Searcher {
  readonly #parts: SearcherParts;
  readonly #partialTime = new PartialTime();

  constructor(parts: SearcherParts) {
    this.#parts = parts;
  }

  /**
   * Waits for its turn, encodes the samples for the kernels, chooses a candidate source, and searches. A share of the
   * indexed searches is repeated later, for the audit.
   * @param tellEarly - takes an early list, at most once; the search then goes on. Undefined: an early list is the
   * answer
   * @throws Failure GALLERY_UNKNOWN
   */
  async identify(
    query: IdentifyQuery,
    { signal, deadlineMs, party }: Patience,
    tellEarly?: (early: Identified) => void,
  ): Promise<Identified> {
    const { served, planner, audit, pool, admission, targetFpir } = this.#parts;
    // A misspelled gallery name would return an empty list for every enrolled subject.
    served.current.requireKnown(query.galleries);
    const { allowPartial: partial, isExact, maxCandidates, explain, classes, ofAge, minors } = query;
    const waiting = { signal, deadlineMs, kind: 'search', partial, ...(party && { party }) } as const;
    const { search, result, source, unshown } = await admission.run(waiting, async () => {
      const probes = await this.#prepare(query.samples);
      query.admit?.(probes);
      await this.#prepareRules(query, signal);
      if (query.unshown !== undefined) await this.#prepareRules(query.unshown, signal);
      let source: CandidateSource | undefined;
      const choose = (view: SearchView) => (source = planner.choose(probes, view, isExact));
      const limits = partial ? this.#partialTime.limits(deadlineMs, Date.now()) : undefined;
      const search: SearchRequest = {
        probes,
        scope: { galleries: new Set(query.galleries), classes, ofAge, minors },
        maxCandidates,
        threshold: query.threshold ?? { targetFpir },
        standardFpir: targetFpir,
        explain,
        ...limits,
      };
      const unshownSearch = query.unshown && this.#searchUnshown(search, query.unshown, query.isExact, signal);
      // A caller that goes once it has an early list must not end the search of what it is not shown.
      const found = (early: SearchResult) => {
        const tell = (unshown?: SearchResult) => {
          const identified = this.#identified(search, early, unshown);
          if (identified.result.band === 'strong-candidate') tellEarly?.(identified);
        };
        if (unshownSearch === undefined) tell();
        else unshownSearch.then(tell, () => undefined);
        return tellEarly === undefined;
      };
      const quick: FirstHit['quick'] = (view, chosen) => planner.quick(probes, view, chosen);
      const firstHit = query.firstHit ? { quick, found } : undefined;
      let isStopped = true;
      try {
        const shown = identify(served.current, choose, pool, { ...search, firstHit }, signal);
        const [result, unshown] = await settled(shown, unshownSearch);
        isStopped = result.searchedFraction < 1 && !result.isEarly;
        return { search, result, source, unshown };
      } finally {
        if (limits !== undefined && isStopped) this.#partialTime.note(limits, Date.now());
      }
    });
    // What a complete search misses is to be measured on all searches. Those without an early list have few mates but
    // the difficult ones.
    if (source?.way !== undefined && (result.isEarly || result.way === source.way)) audit.note(search, source);
    return this.#identified(search, result, unshown);
  }

  /**
   * Searches the classes that are not shown, in the turn of the search that is answered: for a turn of its own a caller
   * could be refused where it would not be without such records. The index audit does not learn of it, because callers
   * see its counts.
   */
  #searchUnshown(
    search: SearchRequest,
    unshown: ClassRules,
    isExact: boolean,
    signal: AbortSignal,
  ): Promise<SearchResult> {
    const { served, planner, pool, targetFpir } = this.#parts;
    const request = {
      ...search,
      scope: { ...unshown, galleries: search.scope.galleries },
      maxCandidates: MAX_UNSHOWN,
      threshold: { targetFpir },
      explain: false,
    };
    const choose = (view: SearchView) => planner.choose(search.probes, view, isExact);
    return identify(served.current, choose, pool, request, signal);
  }

  /** @throws Failure SUBJECT_NOT_FOUND, REFERENCE_DAMAGED */
  async verify(
    { samples, claim, scope, admit, explain }: VerifyQuery,
    { signal, deadlineMs, party }: Patience,
  ): Promise<Verified> {
    const { served, pool, admission, quarantine } = this.#parts;
    const waiting = { signal, deadlineMs, kind: 'verification', ...(party && { party }) } as const;
    const { probes, result } = await admission.run(waiting, async () => {
      const probes = await this.#prepare(samples);
      admit?.(probes);
      await this.#prepareRules(scope, signal);
      const result =
        'subjectId' in claim
          ? await verifySubject(served.current, pool, probes, claim.subjectId, scope, explain)
          : await verifySamples(served.current, pool, probes, await prepareProbes(pool, claim.references), explain);
      return { probes, result };
    });
    if ('subjectId' in claim && this.#mayKnow(claim.subjectId, scope))
      requireUndamaged(quarantine, claim.subjectId, result);
    if (result !== undefined) return this.#compared(probes, result);
    throw new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
  }

  /**
   * Searches with a subject's own references. The index audit does not repeat such searches: it counts only their first
   * candidates, here the subject itself, which no index misses.
   * @returns `gone`: when its turn comes, the subject is not in scope any more; `not-comparable`: it has no reference that
   * can be compared
   */
  async duplicatesOf(
    subjectId: string,
    { scope, maxDuplicates, threshold }: DuplicateQuery,
    { signal, deadlineMs, party }: Patience,
  ): Promise<Duplicates | 'gone' | 'not-comparable'> {
    const { served, planner, pool, admission, targetFpir } = this.#parts;
    const waiting = { signal, deadlineMs, kind: 'duplicates', ...(party && { party }) } as const;
    return admission.run(waiting, async () => {
      await this.#prepareRules(scope, signal);
      // Not the subject of a list: since it was made, another gallery may have come, and this one may follow no changes.
      const gallery = served.current;
      const subject = gallery.subject(subjectId);
      if (subject === undefined || !isFound(subject, scope, gallery.now())) return 'gone';
      const probes = enrolledProbes(subject, pool.calibrations);
      if (probes.length === 0) return 'not-comparable';
      const search = {
        probes,
        scope,
        // The subject itself is the first.
        maxCandidates: maxDuplicates + 1,
        threshold,
        standardFpir: targetFpir,
        searchedWith: subject.attributes,
      };
      const choose = (view: SearchView) => planner.choose(probes, view, false);
      const { candidates, mode, galleryVersion, truncated } = await identify(gallery, choose, pool, search, signal);
      const others = candidates.filter((candidate) => candidate.subject.subjectId !== subjectId);
      const isCut = truncated || others.length > maxDuplicates;
      const isNeverStrong = !mayBeStrong(subject.attributes);
      return { duplicates: others.slice(0, maxDuplicates), isNeverStrong, mode, galleryVersion, truncated: isCut };
    });
  }

  /** Whether a caller may know that there is a subject. One that cannot be read may be of any class. */
  #mayKnow(subjectId: string, scope: Scope): boolean {
    const gallery = this.#parts.served.current;
    const subject = gallery.subject(subjectId);
    if (subject !== undefined) return mayBeKnown(subject, scope, gallery.now());
    return scope.galleries.size === 0 && !gallery.masks(scope.classes) && !gallery.masks(scope.ofAge);
  }

  /** Decides about record classes between turns of the event loop. About minors only where there are any. */
  async #prepareRules({ classes, ofAge, minors }: ClassRules, signal: AbortSignal): Promise<void> {
    await classes?.prepare(signal);
    await ofAge?.prepare(signal);
    if (minors !== 'all' && this.#parts.served.current.hasMinors) await minors?.prepare(signal);
  }

  #identified(search: SearchRequest, result: SearchResult, unshown?: SearchResult): Identified {
    const { served, audit, quarantine } = this.#parts;
    const isAudited = result.way !== undefined && !result.isEarly;
    return {
      // The list was made before the search of unshown records had ended: meanwhile more may have gone.
      ...this.#compared(search.probes, unshown === undefined ? result : this.#stillFound(result, search.scope)),
      audit: isAudited ? audit.figuresOf(modalitiesOf(search.probes), result.way) : undefined,
      damagedReferences: quarantine.unsearched(served.current, search.scope),
      unshown,
    };
  }

  /** The result without subjects that have been removed, or may not be found any more, since its list was made. */
  #stillFound(result: SearchResult, scope: Scope): SearchResult {
    const gallery = this.#parts.served.current;
    return withoutGone(result, ({ subjectId }) => {
      const subject = gallery.subject(subjectId);
      return subject !== undefined && isFound(subject, scope, result.instantMs);
    });
  }

  async #prepare(samples: readonly SampleTemplate[]): Promise<Probe[]> {
    const probes = await prepareProbes(this.#parts.pool, samples);
    if (probes.some(({ packed }) => packed !== undefined)) return probes;
    const sentence = 'No sample has enough minutiae to be compared.';
    throw new Failure('failed-precondition', 'NOT_COMPARABLE', sentence, { field: 'samples' });
  }

  #compared<Result>(probes: readonly Probe[], result: Result): Compared<Result> {
    const templates = probes.map(({ template }) => template);
    return { probes, result, modelVersions: modelVersions(this.#parts.pool.calibrations, templates) };
  }
}

/**
 * A sample that was compared with no reference would be read as a non-match. Where a damaged reference may be the
 * reason, the verification fails instead.
 * @throws Failure REFERENCE_DAMAGED
 */
function requireUndamaged(quarantine: Quarantine, subjectId: string, result: VerificationResult | undefined): void {
  if (quarantine.of(subjectId).length === 0) return;
  if (result !== undefined && result.compared.every((count) => count > 0)) return;
  const sentence =
    'A reference of the subject is damaged, and a sample has no other reference to be compared with. Enrol the samples again: UpdateSubject.';
  throw new Failure('failed-precondition', 'REFERENCE_DAMAGED', sentence, { field: 'subject_id' });
}
