import type { SubjectEntry } from '../../gallery/catalogue.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';

/**
 * Finds similar subjects without a scan. It may miss any subject, so its result alone is never a complete search, and
 * every subject that it returns must still be compared.
 */
export interface NearestSubjects {
  /**
   * Whether every reference in view that the probes can be compared with is in a graph, or among the few that `nearest`
   * returns without one, such as those enrolled a moment ago.
   */
  covers(probes: readonly Probe[], view: SearchView): boolean;
  /** Estimated thread time of `nearest`, in ms, by the costs measured until now. */
  expectedMs(probes: readonly Probe[], view: SearchView, ef: number): number;
  /**
   * The subjects of the references most similar to any of the probes, those only that the search may return, each once,
   * in any order.
   * @param ef - of hnswlib: length of the list of each probe and graph, and the effort that is made for it
   * @throws the signal's reason
   */
  nearest(
    probes: readonly Probe[],
    view: SearchView,
    ef: number,
    signal: AbortSignal,
  ): Promise<readonly SubjectEntry[]>;
}
