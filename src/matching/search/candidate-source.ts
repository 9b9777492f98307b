import type { SubjectEntry } from '../../gallery/catalogue.ts';
import type { Scores } from './candidate-list.ts';
import type { KnownScores } from './known-scores.ts';
import type { Probe } from './probe.ts';
import type { SearchTasks } from './search-tasks.ts';
import type { StopSignal } from '../workers/stop-signal.ts';
import type { SearchView } from './search-view.ts';

/** How an index proposes subjects: by a scan of codes, or by graphs of similar references. */
export type CandidateWay = 'codes' | 'graph';

/** The result of the first stage of a search. */
export interface Proposal {
  /** Subjects worth the second stage. */
  readonly subjects: readonly SubjectEntry[];
  /** For each probe: the references that it was compared with. */
  readonly compared: readonly number[];
  /** Share of the subjects in scope that was compared. */
  readonly penetration: number;
  /** `exact`: every scanned reference was also compared, so no mate among them was missed. */
  readonly mode: 'exact' | 'indexed';
  /** How an `indexed` proposal was made; undefined: `exact`. */
  readonly way?: CandidateWay | undefined;
  /**
   * Share of the references in scope that was scanned, times the share of the planned comparisons that was made; below
   * 1 when the search was stopped.
   */
  readonly searchedFraction: number;
  /** Hash of the directions that the scanned codes of faces were made with; undefined: no codes of faces were scanned. */
  readonly faceDirections?: string | undefined;
  /** Scores of pairs that need not be compared again. */
  readonly known?: KnownScores | undefined;
  /** The result of compareSubjects for all subjects in scope, where known already: the second stage is done. */
  readonly complete?: ComparedSubjects | undefined;
}

export interface ComparedSubjects {
  /** The best score of each probe for each subject. */
  readonly scored: ReadonlyMap<SubjectEntry, Scores>;
  /** For each probe: the comparisons made. */
  readonly compared: readonly number[];
}

/** The requirements of a search on a candidate source. */
export interface SearchTarget {
  /** Length of the list. More subjects are proposed, so that the end of the list is right too. */
  readonly maxCandidates: number;
  /** Highest fused log10 rate of a candidate. Subjects that cannot reach it need not be proposed. */
  readonly thresholdLog10: number;
}

/** A running search, as its stages see it. */
export interface SearchRun {
  readonly view: SearchView;
  readonly tasks: SearchTasks;
  /** Stops each stage when its time is up, and the whole search when the answer is no longer wanted. */
  readonly stop: StopSignal;
  /** Aborted when the answer is no longer wanted. */
  readonly signal: AbortSignal;
  /**
   * Called at most once, with the subjects that are known when the most similar ones have been compared, while no task
   * of the search is running. Undefined: no caller waits for an early answer.
   * @returns whether that is enough: the source returns at once, and its own proposal is not used
   */
  readonly early?: ((proposal: Proposal) => Promise<boolean>) | undefined;
}

/** The first stage of a search: proposes subjects. Its mode states whether it may miss a mate. */
export interface CandidateSource {
  /** `exact`: every reference in scope is compared; `indexed`: the proposal comes from smaller candidate vectors. */
  readonly mode: 'exact' | 'indexed';
  /** How an `indexed` source proposes subjects; undefined: `exact`. */
  readonly way?: CandidateWay | undefined;
  /**
   * Estimated thread time of the whole search, in ms, by the costs measured until now; Infinity where the source cannot
   * search.
   */
  expectedMs(probes: readonly Probe[], view: SearchView): number;
  /** @throws the signal's reason, as soon as no task is running */
  propose(probes: readonly Probe[], wanted: SearchTarget, run: SearchRun): Promise<Proposal>;
}
