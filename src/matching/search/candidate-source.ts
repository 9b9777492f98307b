import type { SubjectEntry } from '../../gallery/catalogue.ts';
import type { Scores } from './candidate-list.ts';
import type { Probe } from './probe.ts';
import type { SearchTasks } from './search-tasks.ts';
import type { StopSignal } from '../workers/stop-signal.ts';
import type { SearchView } from './search-view.ts';

/** What the first stage of a search found. */
export interface Proposal {
  /** Subjects worth the second stage. */
  readonly subjects: readonly SubjectEntry[];
  /** For each probe: references that it was compared with. */
  readonly compared: readonly number[];
  /** Share of the subjects in scope that was compared. */
  readonly penetration: number;
  /** Whether everybody who was looked at was also compared: then nobody of them was missed. */
  readonly mode: 'exact' | 'indexed';
  /**
   * Share of the references in scope that was looked at, and of those that were to be compared then; below 1 when the
   * search was stopped.
   */
  readonly searchedFraction: number;
  /** What compareSubjects would find of all subjects in scope, where that is known already: the second stage is done. */
  readonly complete?: ComparedSubjects | undefined;
}

export interface ComparedSubjects {
  /** The best score of each probe for each subject. */
  readonly scored: ReadonlyMap<SubjectEntry, Scores>;
  /** For each probe: comparisons that were made. */
  readonly compared: readonly number[];
}

/** Whom a search is after. */
export interface Wanted {
  /** Length of the list; enough subjects are proposed that its end is right, too. */
  readonly maxCandidates: number;
  /** Highest fused log10 rate of a candidate: whoever cannot reach it need not be proposed. */
  readonly thresholdLog10: number;
}

/** A search under way, as its stages see it. */
export interface SearchRun {
  readonly view: SearchView;
  readonly tasks: SearchTasks;
  /** Stops the stages when their time is up, and everything when nobody waits for the answer any more. */
  readonly stop: StopSignal;
  /** Aborted when nobody waits for the answer. */
  readonly signal: AbortSignal;
}

/** The first stage of a search: proposes subjects. Whoever implements this says whether it may miss one. */
export interface CandidateSource {
  /** `exact`: every reference in scope is compared; `indexed`: what is proposed follows from something smaller. */
  readonly mode: 'exact' | 'indexed';
  /** How long the whole search will keep one thread busy, in milliseconds, by what was measured until now. */
  expectedMs(probes: readonly Probe[], view: SearchView): number;
  /** @throws the signal's reason, as soon as no task is under way */
  propose(probes: readonly Probe[], wanted: Wanted, run: SearchRun): Promise<Proposal>;
}
