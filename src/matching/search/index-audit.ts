import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import { isFound } from '../../gallery/scope.ts';
import type { CandidateSource, CandidateWay } from './candidate-source.ts';
import { identify, type SearchRequest } from './identification.ts';
import {
  CANDIDATE_WAYS,
  figuresOf,
  modalitiesOf,
  SEARCHED_MODALITIES,
  type AuditCounts,
  type AuditFigures,
  type SearchedModalities,
} from './audit-figures.ts';
import { ExactScan } from './exact-scan.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Searches waiting for repetition; further ones are skipped, so that probes do not pile up in memory. */
const MAX_WAITING = 8;
/** Maximum age of a waiting search, and maximum time of a repetition: probes must not be kept for long. */
const KEPT_MS = 60_000;
/** A source that proposes subjects by an index. */
type Index = CandidateSource & { readonly way: CandidateWay };

interface WaitingSearch {
  readonly request: SearchRequest;
  readonly index: Index;
  readonly since: number;
}

/** Figures of the searches with the same modalities whose subjects were proposed in the same way. */
export interface AuditGroup {
  readonly modalities: SearchedModalities;
  readonly way: CandidateWay;
  readonly figures: AuditFigures;
}

/**
 * Repeats a share of the indexed searches when the service is idle: exact, and by the source that answered, on one
 * state of the gallery.
 * Counts the first candidates that the index missed, which nothing else would reveal. Only the first candidate counts,
 * since a search is one trial. Only the service's own threshold counts, since an index is meant to drop non-mates.
 */
export class IndexAudit {
  readonly #share: number;
  readonly #targetHitRate: number;
  readonly #served: CurrentGallery;
  readonly #pool: WorkerPool;
  readonly #idle: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #stop = new AbortController();
  readonly #waiting: WaitingSearch[] = [];
  #due = 0;
  #running: Promise<void> | undefined;
  readonly #groups = new Map(
    SEARCHED_MODALITIES.flatMap((modalities) =>
      CANDIDATE_WAYS.map((way): [string, Counts] => [
        keyOf(modalities, way),
        { searches: 0, candidates: 0, missed: 0 },
      ]),
    ),
  );

  /**
   * @param share - 0 to 1
   * @param targetHitRate - see figuresOf
   * @param idle - resolves when no search is running
   */
  constructor(
    share: number,
    targetHitRate: number,
    served: CurrentGallery,
    pool: WorkerPool,
    idle: () => Promise<void>,
    onError: (error: unknown) => void,
  ) {
    this.#share = share;
    this.#targetHitRate = targetHitRate;
    this.#served = served;
    this.#pool = pool;
    this.#idle = idle;
    this.#onError = onError;
  }

  /** Of all searches. */
  get figures(): AuditFigures {
    const all = [...this.#groups.values()];
    const sum = (count: keyof Counts) => all.reduce((total, counts) => total + counts[count], 0);
    const counts = { searches: sum('searches'), candidates: sum('candidates'), missed: sum('missed') };
    return figuresOf(counts, this.#targetHitRate);
  }

  /** Of searches with these modalities whose subjects were proposed in this way. */
  figuresOf(modalities: SearchedModalities, way: CandidateWay): AuditFigures {
    return figuresOf(this.#countsOf(modalities, way), this.#targetHitRate);
  }

  /** Every combination of modalities and way. */
  get groups(): readonly AuditGroup[] {
    return SEARCHED_MODALITIES.flatMap((modalities) =>
      CANDIDATE_WAYS.map((way) => ({ modalities, way, figures: this.figuresOf(modalities, way) })),
    );
  }

  /**
   * Records an answered indexed search. One in every 1 / share is repeated.
   * @param index - the source that answered; nothing is recorded for an exact one
   */
  note(request: SearchRequest, index: CandidateSource): void {
    if (!isIndex(index)) return;
    this.#due += this.#share;
    if (this.#due < 1 || this.#stop.signal.aborted) return;
    this.#due -= 1;
    if (this.#waiting.length >= MAX_WAITING) return;
    const { probes, scope, maxCandidates, standardFpir } = request;
    // The same length of the list: an index makes more effort for a longer one.
    const repeated = { probes, scope, maxCandidates, threshold: { targetFpir: standardFpir }, standardFpir };
    this.#waiting.push({ request: repeated, index, since: performance.now() });
    this.#running ??= this.#work();
  }

  /** Resolves when every recorded search has been repeated. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Stops the running repetition and forgets the waiting ones. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stop.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#idle();
      if (performance.now() - next.since > KEPT_MS) continue;
      const given = new AbortController();
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(KEPT_MS), given.signal]);
      try {
        await this.#repeat(next, signal, () => given.abort());
      } catch (error) {
        // Stopped, too slow to count, or no longer answered by the same source.
        if (!signal.aborted) this.#onError(error);
      }
    }
    this.#running = undefined;
  }

  async #repeat({ request, index }: WaitingSearch, signal: AbortSignal, giveUp: () => void): Promise<void> {
    const gallery = this.#served.current;
    // One task in hand: a new search waits at most a few milliseconds for the audit. Both searches begin in one turn of
    // the event loop and at one instant: they see one version of the gallery.
    const instantMs = gallery.now();
    const list = async (choose: (view: SearchView) => CandidateSource) =>
      identify(gallery, choose, this.#pool, { ...request, instantMs }, signal, 1);
    const answering = (view: SearchView) => {
      // Graphs that no longer cover the gallery answer no search, and would miss what no search misses.
      if (index.expectedMs(request.probes, view) === Infinity) giveUp();
      return index;
    };
    const [exact, indexed] = await Promise.all([list(() => new ExactScan(this.#pool)), list(answering)]);
    // Another source may have stepped in. An exact proposal is one of the same source that has missed no subject.
    if (indexed.way !== undefined && indexed.way !== index.way) return;
    const counts = this.#countsOf(modalitiesOf(request.probes), index.way);
    counts.searches++;
    const first = exact.candidates[0]?.subject;
    // A subject that was expunged or left the scope meanwhile may be in neither list, or in the earlier one only. It says
    // nothing about the index.
    if (first === undefined || gallery.subject(first.subjectId) !== first) return;
    if (!isFound(first, request.scope, instantMs)) return;
    counts.candidates++;
    if (!indexed.candidates.some(({ subject }) => subject === first)) counts.missed++;
  }

  #countsOf(modalities: SearchedModalities, way: CandidateWay): Counts {
    const counts = this.#groups.get(keyOf(modalities, way));
    if (counts === undefined) throw new RangeError('there are no such searches');
    return counts;
  }
}

function keyOf(modalities: SearchedModalities, way: CandidateWay): string {
  return `${modalities} ${way}`;
}

function isIndex(source: CandidateSource): source is Index {
  return source.way !== undefined;
}

type Counts = { -readonly [Count in keyof AuditCounts]: AuditCounts[Count] };
