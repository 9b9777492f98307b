import type { Gallery } from '../gallery/gallery.ts';
import type { CandidateSource } from './candidate-source.ts';
import { identify, type SearchRequest } from './identification.ts';
import { EXACT, INDEXED, SubjectScan } from './subject-scan.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Searches that wait to be repeated; more are passed over, so that probes do not pile up in memory. */
const MOST_WAITING = 8;
/** z of a two-sided confidence of 95 %. */
const Z = 1.96;

/** What the audit has found since the service started. */
export interface AuditFigures {
  /** Searches that were repeated. */
  readonly searches: number;
  /** Candidates that the exact searches returned. */
  readonly candidates: number;
  /** Of those, how many the indexed searches had not. */
  readonly missed: number;
  /** missed / candidates; 0 before there is any. */
  readonly missRate: number;
  /** Upper end of the interval of 95 % confidence around it (Wilson, JASA 22, 1927); 1 before there is any. */
  readonly missRateUpper: number;
}

/**
 * Repeats a share of the indexed searches when there is nothing else to do, both ways on one state of the gallery, and
 * counts the candidates that the index has lost: nothing else would ever show them.
 */
export class IndexAudit {
  readonly #share: number;
  readonly #gallery: Gallery;
  readonly #pool: WorkerPool;
  readonly #idle: () => Promise<void>;
  readonly #onError: (error: unknown) => void;
  readonly #index: CandidateSource;
  readonly #stop = new AbortController();
  readonly #waiting: SearchRequest[] = [];
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
    gallery: Gallery,
    pool: WorkerPool,
    idle: () => Promise<void>,
    onError: (error: unknown) => void,
    index: CandidateSource = new SubjectScan(INDEXED, pool),
  ) {
    this.#share = share;
    this.#gallery = gallery;
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
    if (this.#waiting.length >= MOST_WAITING) return;
    this.#waiting.push({ ...request, explain: false });
    this.#running ??= this.#work().finally(() => (this.#running = undefined));
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
    for (let request = this.#waiting.shift(); request !== undefined; request = this.#waiting.shift()) {
      await this.#idle();
      try {
        await this.#repeat(request);
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#onError(error);
      }
    }
  }

  async #repeat(request: SearchRequest): Promise<void> {
    const { signal } = this.#stop;
    const list = async (source: CandidateSource) => identify(this.#gallery, () => source, this.#pool, request, signal);
    // One task in hand: a search that comes now waits for a few milliseconds of the audit's work at most.
    const [exact, indexed] = await Promise.all([list(new SubjectScan(EXACT, this.#pool, 1)), list(this.#index)]);
    // Begun in one turn of the event loop, so of one version of the gallery; but who was expunged meanwhile is in
    // neither list or in the earlier one only, and says nothing of the index.
    const found = new Set(indexed.candidates.map(({ subject }) => subject));
    const present = exact.candidates.filter(({ subject }) => this.#gallery.subject(subject.subjectId) === subject);
    this.#searches++;
    this.#candidates += present.length;
    this.#missed += present.filter(({ subject }) => !found.has(subject)).length;
  }
}

function wilsonUpper(events: number, trials: number): number {
  if (trials === 0) return 1;
  const rate = events / trials;
  const square = Z ** 2 / trials;
  const spread = Z * Math.sqrt((rate * (1 - rate)) / trials + square / (4 * trials));
  return Math.min(1, (rate + square / 2 + spread) / (1 + square));
}
