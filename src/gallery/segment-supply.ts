import type { ReleasedMemory } from './released-memory.ts';
import { closeSegment, type SegmentHandle } from './segment-layout.ts';
import { Segment } from './segment.ts';

/** How segments are sized. */
export interface SegmentSizing {
  /** References per segment before the next one is opened. */
  readonly capacity: number;
  /** Bytes of the largest packed reference. */
  readonly maxRecordBytes: number;
  /** Bytes of scratch that one worker thread needs. */
  readonly scratchBytes: number;
  /** Bytes of the candidate vector that follows each packed reference; 0: none. */
  readonly vectorBytes: number;
  /** Bytes of the codes of each reference; undefined: none. */
  readonly codeBytes?: number;
  /** Whether codes follow each packed reference, the default; otherwise Segment.coder makes them later. */
  readonly codesArePacked?: boolean;
}

/** Spare memories: one for the next compaction, one for new references. */
const MAX_SPARE = 2;
/** How long an unused spare is kept. */
const KEPT_MS = 60_000;
/** A spare memory is reused only if at least this share of it is needed. */
const MIN_USED = 3 / 4;

/**
 * Provides segments of one size, and reuses returned memory. While as many references are added as removed, this avoids
 * garbage collections, each of which would halt the thread for tens of milliseconds.
 */
export class SegmentSupply {
  readonly capacity: number;
  readonly #sizing: SegmentSizing;
  readonly #spare: { readonly handle: SegmentHandle; readonly since: number }[] = [];
  readonly #released: ReleasedMemory;

  /** @param released - gets memory that is not kept */
  constructor(sizing: SegmentSizing, released: ReleasedMemory) {
    this.#sizing = sizing;
    this.#released = released;
    this.capacity = sizing.capacity;
  }

  /**
   * @param recordBytes - expected total of its records; by default it will be filled
   * @throws RangeError when there is no memory
   */
  take(recordBytes = Infinity): Segment {
    const { capacity, maxRecordBytes, scratchBytes, vectorBytes, codeBytes, codesArePacked } = this.#sizing;
    // Written memory stays resident, needed or not.
    const fitting = this.#spare.findIndex(
      ({ handle: { memory, layout } }) => layout.recordsAddress + recordBytes >= MIN_USED * memory.buffer.byteLength,
    );
    const [spare] = fitting < 0 ? [] : this.#spare.splice(fitting, 1);
    return new Segment(
      capacity,
      maxRecordBytes,
      { scratchBytes, vectorBytes, codeBytes, codesArePacked },
      spare?.handle,
    );
  }

  /** @param segment - a wiped segment */
  giveBack({ handle }: Segment): void {
    this.#spare.push({ handle, since: performance.now() });
    if (this.#spare.length > MAX_SPARE) this.#releaseFirst();
  }

  /** Releases spares that were unused for a minute. To be called regularly. */
  releaseUnused(nowMs: number): void {
    while (nowMs - (this.#spare[0]?.since ?? nowMs) > KEPT_MS) this.#releaseFirst();
  }

  /** Releases the memory of a segment that will not be read any more. */
  release({ handle }: Pick<Segment, 'handle'>): void {
    closeSegment(handle);
    this.#released.add(handle.memory);
  }

  #releaseFirst(): void {
    const [first] = this.#spare.splice(0, 1);
    this.release(first);
  }
}
