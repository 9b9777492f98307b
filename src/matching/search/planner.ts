import type { CandidateSource } from './candidate-source.ts';
import type { Probe } from './probe.ts';
import { ScopeList } from './scope-list.ts';
import type { SearchView } from './search-view.ts';
import { ExactScan } from './exact-scan.ts';
import { IndexedScan } from './indexed-scan.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/**
 * A search is exact if it keeps a thread busy no longer than this: the wait is short, and no mate is missed. It is also
 * exact if it costs little more than the indexed search.
 */
const CHEAP_MS = 25;
const WORTH = 2;

/** Chooses the search strategy by its cost as measured on this machine. */
export class Planner {
  readonly #listed: CandidateSource;
  readonly #exact: CandidateSource;
  readonly #indexed: CandidateSource;

  constructor(pool: WorkerPool) {
    this.#listed = new ScopeList(pool);
    this.#exact = new ExactScan(pool);
    this.#indexed = new IndexedScan(pool);
  }

  /** @param exact - the caller requires every reference to be compared */
  choose(probes: readonly Probe[], view: SearchView, exact: boolean): CandidateSource {
    const scan = this.#exact.expectedMs(probes, view);
    const list = this.#listed.expectedMs(probes, view);
    const [complete, cost] = list <= scan ? [this.#listed, list] : [this.#exact, scan];
    if (exact || cost <= CHEAP_MS || cost <= WORTH * this.#indexed.expectedMs(probes, view)) return complete;
    return this.#indexed;
  }
}
