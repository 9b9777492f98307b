import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import type { CandidateSource } from './candidate-source.ts';
import { identify, type SearchRequest } from './identification.ts';
import { EXACT, INDEXED, SubjectScan } from './subject-scan.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Searches that wait to be repeated; more are passed over, so that probes do not pile up in memory. */
const MAX_WAITING = 8;
/** The index has found a subject who is among so many candidates of its own. */
const AMONG_CANDIDATES = 500;
/** For how long a search is kept, and for how long a repetition may take: probes are not to be held for long. */
const KEPT_MS = 60_000;
/** z of a one-sided confidence of 95 %. */
const Z = 1.645;

/** What the audit has found since the service started. */
export interface AuditFigures {
  /** Searches that were repeated. */
  readonly searches: number;
  /** Of those, how many had a candidate at the service's own threshold when everything was compared. */
  readonly candidates: number;
  /** Of the first candidates of these, how many the indexed search had not. */
  readonly missed: number;
  /** missed / candidates; 0 before there is any. */
  readonly missRate: number;
  /** Upper limit of it at 95 % confidence, one-sided (Wilson, JASA 22, 1927); 1 before there is any. */
  readonly missRateUpper: number;
}

/**
 * Repeats a share of the indexed searches when there is nothing else to do, both ways on one state of the gallery, and
 * counts the first candidates that the index has lost: nothing else would ever show them. Only the first, for a search
 * is one trial, and only at the service's own threshold, for an index is meant to leave out those who are not alike.
 */
export class IndexAudit {
  readonly #share: number;
  readonly #served: CurrentGallery;
  readonly #pool: WorkerPool;
  readonly #idle: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #index: CandidateSource;
  readonly #stop = new AbortController();
  readonly #waiting: { readonly request: SearchRequest; readonly since: number }[] = [];
  #due = 0;
  #running: Promise<void> | undefined;
  #searches = 0;
  #candidates = 0;
  #missed = 0;

  /**
   * @param share - 0 to 1
   * @param idle - resolves when no search is under way
   * @param index - what is audited
   */
  constructor(
    share: number,
    served: CurrentGallery,
    pool: WorkerPool,
    idle: () => Promise<void>,
    onError: (error: unknown) => void,
    index: CandidateSource = new SubjectScan(INDEXED, pool),
  ) {
    this.#share = share;
    this.#served = served;
    this.#pool = pool;
    this.#idle = idle;
    this.#onError = onError;
    this.#index = index;
  }

  get figures(): AuditFigures {
    const [searches, candidates, missed] = [this.#searches, this.#candidates, this.#missed];
    const missRate = candidates === 0 ? 0 : missed / candidates;
    return { searches, candidates, missed, missRate, missRateUpper: wilsonUpper(missed, candidates) };
  }

  /** Tells of an indexed search that was answered. Every 1 / share of them is repeated. */
  note(request: SearchRequest): void {
    this.#due += this.#share;
    if (this.#due < 1 || this.#stop.signal.aborted) return;
    this.#due -= 1;
    if (this.#waiting.length >= MAX_WAITING) return;
    const { probes, galleries, standardFpir } = request;
    const repeated = { probes, galleries, maxCandidates: 1, threshold: { targetFpir: standardFpir }, standardFpir };
    this.#waiting.push({ request: repeated, since: performance.now() });
    this.#running ??= this.#work();
  }

  /** Resolves when everything that was noted has been repeated. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Stops the repetition under way and forgets those that wait. */
  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stop.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#idle();
      if (performance.now() - next.since > KEPT_MS) continue;
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(KEPT_MS)]);
      try {
        await this.#repeat(next.request, signal);
      } catch (error) {
        // Stopped, or too slow to say anything.
        if (!signal.aborted) this.#onError(error);
      }
    }
    this.#running = undefined;
  }

  async #repeat(request: SearchRequest, signal: AbortSignal): Promise<void> {
    const gallery = this.#served.current;
    // One task in hand: a search that comes now waits for a few milliseconds of the audit's work at most. Both begin in
    // one turn of the event loop, so they see one version of the gallery; and at one instant.
    const instantMs = gallery.now();
    const list = async (source: CandidateSource, maxCandidates: number) =>
      identify(gallery, () => source, this.#pool, { ...request, maxCandidates, instantMs }, signal, 1);
    const [exact, indexed] = await Promise.all([
      list(new SubjectScan(EXACT, this.#pool), 1),
      list(this.#index, AMONG_CANDIDATES),
    ]);
    this.#searches++;
    const first = exact.candidates[0]?.subject;
    // Who was expunged meanwhile may be in neither list or in the earlier one only, and says nothing of the index.
    if (first === undefined || gallery.subject(first.subjectId) !== first) return;
    this.#candidates++;
    if (!indexed.candidates.some(({ subject }) => subject === first)) this.#missed++;
  }
}

function wilsonUpper(events: number, trials: number): number {
  if (trials === 0) return 1;
  const rate = events / trials;
  const square = Z ** 2 / trials;
  const spread = Z * Math.sqrt((rate * (1 - rate)) / trials + square / (4 * trials));
  return Math.min(1, (rate + square / 2 + spread) / (1 + square));
}
