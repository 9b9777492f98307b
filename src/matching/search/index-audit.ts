import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import type { CandidateSource } from './candidate-source.ts';
import { identify, type SearchRequest } from './identification.ts';
import type { Probe } from './probe.ts';
import { ExactScan } from './exact-scan.ts';
import { IndexedScan } from './indexed-scan.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Searches waiting for repetition; further ones are skipped, so that probes do not pile up in memory. */
const MAX_WAITING = 8;
/** A mate counts as found if it is among this many top candidates of the indexed search. */
const AMONG_CANDIDATES = 500;
/** Maximum age of a waiting search, and maximum time of a repetition: probes must not be kept for long. */
const KEPT_MS = 60_000;
/** z of a one-sided 95 % confidence limit. */
const Z = 1.645;

/** Modalities of the probes that could be compared. The index misses mates of each at rates of their own. */
export const SEARCHED_MODALITIES = ['finger', 'face', 'finger+face'] as const;
export type SearchedModalities = (typeof SEARCHED_MODALITIES)[number];

/** @returns the modalities of a search; fingers where no probe can be compared */
export function modalitiesOf(probes: readonly Probe[]): SearchedModalities {
  const found = new Set(probes.flatMap(({ packed }) => packed?.modality ?? []));
  if (!found.has('face')) return 'finger';
  return found.has('finger') ? 'finger+face' : 'face';
}

/** What the audit has found since the service started. */
export interface AuditFigures {
  /** Searches repeated. */
  readonly searches: number;
  /** Repeated searches whose exact search had a candidate at the service's own threshold. */
  readonly candidates: number;
  /** Their first candidates that the indexed search missed. */
  readonly missed: number;
  /** missed / candidates; 0 without candidates. */
  readonly missRate: number;
  /** Upper 95 % confidence limit of missRate, one-sided (Wilson, JASA 22, 1927); 1 without candidates. */
  readonly missRateUpper: number;
}

/**
 * Repeats a share of the indexed searches when the service is idle: exact and indexed, on one state of the gallery.
 * Counts the first candidates that the index missed, which nothing else would reveal. Only the first candidate counts,
 * since a search is one trial. Only the service's own threshold counts, since an index is meant to drop non-mates.
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
  readonly #counts: Readonly<Record<SearchedModalities, Counts>> = {
    finger: { searches: 0, candidates: 0, missed: 0 },
    face: { searches: 0, candidates: 0, missed: 0 },
    'finger+face': { searches: 0, candidates: 0, missed: 0 },
  };

  /**
   * @param share - 0 to 1
   * @param idle - resolves when no search is running
   * @param index - the audited candidate source
   */
  constructor(
    share: number,
    served: CurrentGallery,
    pool: WorkerPool,
    idle: () => Promise<void>,
    onError: (error: unknown) => void,
    index: CandidateSource = new IndexedScan(pool),
  ) {
    this.#share = share;
    this.#served = served;
    this.#pool = pool;
    this.#idle = idle;
    this.#onError = onError;
    this.#index = index;
  }

  /** Of all searches. */
  get figures(): AuditFigures {
    const all = Object.values(this.#counts);
    const sum = (count: keyof Counts) => all.reduce((total, counts) => total + counts[count], 0);
    return withRates({ searches: sum('searches'), candidates: sum('candidates'), missed: sum('missed') });
  }

  /** Of searches with these modalities. */
  figuresOf(modalities: SearchedModalities): AuditFigures {
    return withRates({ ...this.#counts[modalities] });
  }

  /** Records an answered indexed search. One in every 1 / share is repeated. */
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
      const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(KEPT_MS)]);
      try {
        await this.#repeat(next.request, signal);
      } catch (error) {
        // Stopped, or too slow to count.
        if (!signal.aborted) this.#onError(error);
      }
    }
    this.#running = undefined;
  }

  async #repeat(request: SearchRequest, signal: AbortSignal): Promise<void> {
    const gallery = this.#served.current;
    // One task in hand: a new search waits at most a few milliseconds for the audit. Both searches begin in one turn of
    // the event loop and at one instant: they see one version of the gallery.
    const instantMs = gallery.now();
    const list = async (source: CandidateSource, maxCandidates: number) =>
      identify(gallery, () => source, this.#pool, { ...request, maxCandidates, instantMs }, signal, 1);
    const [exact, indexed] = await Promise.all([
      list(new ExactScan(this.#pool), 1),
      list(this.#index, AMONG_CANDIDATES),
    ]);
    const counts = this.#counts[modalitiesOf(request.probes)];
    counts.searches++;
    const first = exact.candidates[0]?.subject;
    // A subject expunged meanwhile may be in neither list, or in the earlier one only. It says nothing about the index.
    if (first === undefined || gallery.subject(first.subjectId) !== first) return;
    counts.candidates++;
    if (!indexed.candidates.some(({ subject }) => subject === first)) counts.missed++;
  }
}

interface Counts {
  searches: number;
  candidates: number;
  missed: number;
}

function withRates({ searches, candidates, missed }: Counts): AuditFigures {
  const missRate = candidates === 0 ? 0 : missed / candidates;
  return { searches, candidates, missed, missRate, missRateUpper: wilsonUpper(missed, candidates) };
}

function wilsonUpper(events: number, trials: number): number {
  if (trials === 0) return 1;
  const rate = events / trials;
  const square = Z ** 2 / trials;
  const spread = Z * Math.sqrt((rate * (1 - rate)) / trials + square / (4 * trials));
  return Math.min(1, (rate + square / 2 + spread) / (1 + square));
}
