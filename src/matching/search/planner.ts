import type { WorkerPool } from '../workers/worker-pool.ts';
import type { CandidateSource } from './candidate-source.ts';
import { ExactScan } from './exact-scan.ts';
import { COMPLETE_EFFORT, EARLY_EFFORT, GraphSearch } from './graph-search.ts';
import { IndexedScan } from './indexed-scan.ts';
import type { NearestSubjects } from './nearest-subjects.ts';
import type { Probe } from './probe.ts';
import { ScopeList } from './scope-list.ts';
import type { SearchView } from './search-view.ts';

/**
 * A search is exact if it keeps a thread busy no longer than this: the wait is short, and no mate is missed. It is also
 * exact if it costs little more than the indexed search.
 */
const CHEAP_MS = 25;
const WORTH = 2;

/** What may propose candidates, see RIDGEWATCH_CANDIDATES. */
export type CandidateRule = 'auto' | 'codes' | 'graph' | 'exact';

export interface PlannerOptions {
  /** Default: `auto`. */
  readonly candidates?: CandidateRule;
  /** Undefined: there are no graphs. */
  readonly graphs?: NearestSubjects | undefined;
}

/** Chooses the search strategy by its cost as measured on this machine. */
export class Planner {
  readonly #rule: CandidateRule;
  readonly #listed: CandidateSource;
  readonly #exact: CandidateSource;
  readonly #codes: CandidateSource;
  readonly #graph: CandidateSource | undefined;
  readonly #earlyGraph: CandidateSource | undefined;

  constructor(pool: WorkerPool, { candidates = 'auto', graphs }: PlannerOptions = {}) {
    this.#rule = candidates;
    this.#listed = new ScopeList(pool);
    this.#exact = new ExactScan(pool);
    this.#codes = new IndexedScan(pool);
    if (graphs === undefined || candidates === 'codes' || candidates === 'exact') return;
    this.#graph = new GraphSearch(pool, graphs, COMPLETE_EFFORT, this.#codes);
    this.#earlyGraph = new GraphSearch(pool, graphs, EARLY_EFFORT);
  }

  /** @param exact - the caller requires every reference to be compared */
  choose(probes: readonly Probe[], view: SearchView, exact: boolean): CandidateSource {
    const costOf = (source: CandidateSource) => source.expectedMs(probes, view);
    const complete = costOf(this.#listed) <= costOf(this.#exact) ? this.#listed : this.#exact;
    if (exact || this.#rule === 'exact') return complete;
    const cost = costOf(complete);
    const graph = this.#graph;
    if (this.#rule === 'graph' && graph !== undefined && costOf(graph) < cost) return graph;
    if (cost <= CHEAP_MS) return complete;
    const index = graph !== undefined && costOf(graph) < costOf(this.#codes) ? graph : this.#codes;
    return cost <= WORTH * costOf(index) ? complete : index;
  }

  /**
   * A source to ask first where an early answer is wanted: graphs with little effort, where they take less than
   * half of the time of the chosen source, and that is not short. Undefined: none.
   */
  quick(probes: readonly Probe[], view: SearchView, chosen: CandidateSource): CandidateSource | undefined {
    const graph = this.#earlyGraph;
    const cost = chosen.expectedMs(probes, view);
    if (graph === undefined || cost <= CHEAP_MS) return undefined;
    return WORTH * graph.expectedMs(probes, view) < cost ? graph : undefined;
  }
}
