import type { SubjectSegment } from '../gallery/catalogue.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';

/** A reference that a probe resembles. */
export interface Hit {
  readonly segment: SubjectSegment;
  readonly index: number;
  readonly score: number;
}

/** What a candidate source found for one probe. */
export interface Proposal {
  readonly hits: readonly Hit[];
  /** References that the probe was compared with. */
  readonly compared: number;
}

/**
 * The first stage of a search: proposes references for a probe. The exact way compares with every reference; an index
 * reads a few and may miss one. Whoever implements this says which of the two it is.
 */
export interface CandidateSource {
  readonly mode: 'exact' | 'indexed';
  /**
   * @param control - word 0 becomes 1 when the search was given up
   * @returns the references of the view that score at least the source's floor, in no particular order
   */
  propose(probe: Probe, view: SearchView, control: SharedArrayBuffer): Promise<Proposal>;
}
