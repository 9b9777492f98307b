import type { Ordinals } from './ordinals.ts';
import type { Partition } from './partition.ts';
import type { Segment } from './segment.ts';

/**
 * Rewrites sparse segments as one: copy, switch, and finish once the searches that began before the switch have ended.
 * Between any two steps the gallery may change, and searches may begin and end. References removed meanwhile are
 * removed from the copy, too (`placesOf`). New references go to other segments.
 */
export class Compaction {
  readonly #partition: Partition;
  readonly #segments: readonly Segment[];
  readonly #ordinals: Ordinals;
  readonly #target: Segment;
  /** Segments to be released at the end. */
  #leftOver: readonly Segment[];

  /**
   * From now on the segments accept no more references.
   * @param segments - of the partition; their live references fit into one
   * @throws RangeError when there is no memory for the copy
   */
  constructor(partition: Partition, segments: readonly Segment[], ordinals: Ordinals) {
    this.#partition = partition;
    this.#segments = segments;
    this.#ordinals = ordinals;
    this.#target = partition.beginCompaction(segments.reduce((sum, { liveBytes }) => sum + liveBytes, 0));
    this.#leftOver = [this.#target];
    for (const segment of segments) segment.beginCopying(this.#target);
  }

  /**
   * Copies reference by reference. Searches keep reading the old segments.
   * @throws RangeError when there is no memory: the copy must then be abandoned
   */
  *copy(): Generator<void> {
    for (const segment of this.#segments) {
      for (let index = 0; index < segment.count; index++) {
        segment.copy(index);
        yield;
      }
    }
  }

  /** Restores the previous state, and wipes the copy. Not allowed after the switch. */
  *abandon(): Generator<void> {
    for (const segment of this.#segments) segment.abandonCopying();
    yield* this.#giveBack();
  }

  /** Searches that begin from now on read the copy. */
  switch(): void {
    this.#leftOver = this.#partition.replace(this.#segments, this.#target);
  }

  /** Points the subjects' references to the copy, and wipes the old segments. Only when no search reads them. */
  *finish(): Generator<void> {
    for (const segment of this.#segments) {
      for (let index = 0; index < segment.count; index++) {
        this.#relocate(segment, index);
        yield;
      }
    }
    yield* this.#giveBack();
  }

  *#giveBack(): Generator<void> {
    for (const segment of this.#leftOver) {
      yield* segment.wipe();
      this.#partition.supply.giveBack(segment);
    }
    this.#partition.endCompaction();
  }

  /** A reference replaced since the switch is still found through its old segment, until the searches have ended. */
  #relocate(segment: Segment, index: number): void {
    const place = segment.copyOf(index);
    const subject = this.#ordinals.subject(segment.ownerOf(index));
    const location = subject?.references.find((one) => one.segment === segment && one.index === index);
    if (place !== undefined && location !== undefined) Object.assign(location, place);
  }
}
