import type { CandidateSource } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';
import { EXACT, INDEXED, SubjectScan } from './subject-scan.ts';
import type { WorkerPool } from './worker-pool.ts';

/**
 * A search that keeps a thread busy no longer than this is done exactly: nobody waits for it, and nothing is missed.
 * The same search is cheap enough when it costs little more than the indexed one.
 */
const CHEAP_MS = 25;
const WORTH = 2;

/** Chooses how to search, by what the ways cost as measured on this machine. */
export class Planner {
  readonly #exact: CandidateSource;
  readonly #indexed: CandidateSource;

  constructor(pool: WorkerPool) {
    this.#exact = new SubjectScan(EXACT, pool);
    this.#indexed = new SubjectScan(INDEXED, pool);
  }

  /** @param exact - the caller insists on comparing everything */
  choose(probes: readonly Probe[], view: SearchView, exact: boolean): CandidateSource {
    if (exact) return this.#exact;
    const cost = this.#exact.expectedMs(probes, view);
    return cost <= CHEAP_MS || cost <= WORTH * this.#indexed.expectedMs(probes, view) ? this.#exact : this.#indexed;
  }
}
