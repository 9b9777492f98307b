import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { SampleScore } from './candidate-list.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';

/** A subject whose scores are all more common than this among different people is not a candidate. */
export const FLOOR_LOG10_FMR = -1;

/** The best score of each probe against one subject; probes that it was not compared with are absent. */
export type Scores = Map<Probe, SampleScore>;

/** What the first stage of a search found. */
export interface Proposal {
  /** Subjects worth the second stage, and what is known of them by now. */
  readonly subjects: Map<SubjectEntry, Scores>;
  /** For each probe: references that it was compared with, or whose candidate vector was. */
  readonly searched: readonly number[];
  /** Share of the references in scope that was looked at; below 1 when the control word stopped the work. */
  readonly searchedFraction: number;
}

/** The first stage of a search: proposes subjects. Whoever implements this says whether it may miss one. */
export interface CandidateSource {
  /** `exact`: every reference in scope is compared; `indexed`: what is proposed follows from something smaller. */
  readonly mode: 'exact' | 'indexed';
  /** How long the whole search will keep one thread busy, in milliseconds, by what was measured until now. */
  expectedMs(probes: readonly Probe[], view: SearchView): number;
  /**
   * @param maxCandidates - length of the list that is wanted; enough subjects are proposed that its end is right, too
   * @param control - word 0 becomes 1 when there is no time left: subjects are proposed from what was looked at
   */
  propose(
    probes: readonly Probe[],
    view: SearchView,
    maxCandidates: number,
    control: SharedArrayBuffer,
  ): Promise<Proposal>;
}
