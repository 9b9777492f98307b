import type { ReleasedMemory } from './released-memory.ts';
import { closeSegment, type SegmentHandle } from './segment-layout.ts';
import { Segment } from './segment.ts';

/** How segments are sized. */
export interface SegmentSizing {
  /** References a segment holds before the next one is opened. */
  readonly capacity: number;
  /** Bytes of the largest packed reference. */
  readonly maxRecordBytes: number;
  /** Bytes of scratch that one worker thread needs. */
  readonly scratchBytes: number;
  /** Bytes of the candidate vector at the end of each packed reference; 0: it has none. */
  readonly vectorBytes: number;
}

/** Memories that are kept: one for the next compaction, one for new references. */
const MAX_SPARE = 2;
/** And for how long, when nobody needs them. */
const KEPT_MS = 60_000;
/** Share of a memory that is used again that has to be needed. */
const MIN_USED = 3 / 4;

/**
 * Makes segments of one size, of memory that was given back where there is any: as long as as many references come as
 * go, nothing has to be collected, which would halt the thread for tens of milliseconds each time.
 */
export class SegmentSupply {
  readonly capacity: number;
  readonly #sizing: SegmentSizing;
  readonly #spare: { readonly handle: SegmentHandle; readonly since: number }[] = [];
  readonly #released: ReleasedMemory;

  /** @param released - gets the memory that is not kept */
  constructor(sizing: SegmentSizing, released: ReleasedMemory) {
    this.#sizing = sizing;
    this.#released = released;
    this.capacity = sizing.capacity;
  }

  /**
   * @param recordBytes - of records that it is for; not given: it will be filled
   * @throws RangeError when there is no memory
   */
  take(recordBytes = Infinity): Segment {
    const { capacity, maxRecordBytes, scratchBytes, vectorBytes } = this.#sizing;
    // Memory that was written to is resident, whether it is needed or not.
    const fitting = this.#spare.findIndex(
      ({ handle: { memory, layout } }) => layout.recordsAddress + recordBytes >= MIN_USED * memory.buffer.byteLength,
    );
    const [spare] = fitting < 0 ? [] : this.#spare.splice(fitting, 1);
    return new Segment(capacity, maxRecordBytes, scratchBytes, vectorBytes, spare?.handle);
  }

  /** @param segment - wiped */
  giveBack({ handle }: Segment): void {
    this.#spare.push({ handle, since: performance.now() });
    if (this.#spare.length > MAX_SPARE) this.#releaseFirst();
  }

  /** Gives up what nobody has needed for a minute. To be called now and then. */
  releaseUnused(nowMs: number): void {
    while (nowMs - (this.#spare[0]?.since ?? nowMs) > KEPT_MS) this.#releaseFirst();
  }

  /** Gives up the memory of a segment that nobody will read any more. */
  release({ handle }: Pick<Segment, 'handle'>): void {
    closeSegment(handle);
    this.#released.add(handle.memory);
  }

  #releaseFirst(): void {
    const [first] = this.#spare.splice(0, 1);
    this.release(first);
  }
}
