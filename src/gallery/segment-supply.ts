import { announceGarbage, closeSegment, type SegmentHandle } from './segment-layout.ts';
import { Segment } from './segment.ts';

/** How segments are sized. */
export interface SegmentSizing {
  /** References a segment holds before the next one is opened. */
  readonly capacity: number;
  /** Bytes of the largest packed reference. */
  readonly largestRecord: number;
  /** Bytes of scratch that one worker thread needs. */
  readonly scratchBytes: number;
  /** Bytes of the candidate vector at the end of each packed reference; 0: it has none. */
  readonly vectorBytes: number;
}

/** Memories that are kept: one for the next rewriting, one for new references. */
const MOST_SPARE = 2;

/**
 * Makes segments of one size, of memory that was given back where there is any: as long as as many references come as
 * go, nothing has to be collected, which would halt the thread for tens of milliseconds each time.
 */
export class SegmentSupply {
  readonly capacity: number;
  readonly #sizing: SegmentSizing;
  readonly #spare: SegmentHandle[] = [];

  constructor(sizing: SegmentSizing) {
    this.#sizing = sizing;
    this.capacity = sizing.capacity;
  }

  /** @throws RangeError when there is no memory */
  take(): Segment {
    const { capacity, largestRecord, scratchBytes, vectorBytes } = this.#sizing;
    return new Segment(capacity, largestRecord, scratchBytes, vectorBytes, this.#spare.pop());
  }

  /** @param segment - wiped */
  giveBack({ handle }: Segment): void {
    if (this.#spare.length < MOST_SPARE) {
      this.#spare.push(handle);
      return;
    }
    closeSegment(handle);
    announceGarbage(handle);
  }
}
