import type { Ordinals } from './ordinals.ts';
import type { Partition } from './partition.ts';
import type { Segment } from './segment.ts';

/**
 * Makes one segment of what is left in some: copy, switch, and, when the searches that began before the switch have
 * ended, finish. Between any two steps the gallery may change, and searches may begin and end. What is removed meanwhile
 * is removed from the copy, too (`placesOf`); what is appended goes to other segments.
 */
export class Compaction {
  readonly #partition: Partition;
  readonly #segments: readonly Segment[];
  readonly #ordinals: Ordinals;
  readonly #target: Segment;
  /** Segments that nobody needs when all this is over. */
  #leftOver: readonly Segment[];

  /**
   * From here on the segments take no more references.
   * @param segments - of the partition; what is left in them fits into one
   * @throws RangeError when there is no memory for the copy
   */
  constructor(partition: Partition, segments: readonly Segment[], ordinals: Ordinals) {
    this.#partition = partition;
    this.#segments = segments;
    this.#ordinals = ordinals;
    this.#target = partition.supply.take(segments.reduce((sum, { liveBytes }) => sum + liveBytes, 0));
    this.#leftOver = [this.#target];
    for (const segment of segments) segment.beginCopying(this.#target);
  }

  /**
   * Copies reference by reference; searches go on reading the old segments.
   * @throws RangeError when there is no memory for it: the copy is to be abandoned
   */
  *copy(): Generator<void> {
    for (const segment of this.#segments) {
      for (let index = 0; index < segment.count; index++) {
        segment.copy(index);
        yield;
      }
    }
  }

  /** Leaves everything as it was, and wipes the copy. Not after the switch. */
  *abandon(): Generator<void> {
    for (const segment of this.#segments) segment.abandonCopying();
    yield* this.#giveBack();
  }

  /** Searches that begin from now on read the copy. */
  switch(): void {
    this.#leftOver = this.#partition.replace(this.#segments, this.#target);
  }

  /** Makes the subjects' references point to the copy, and wipes the old segments. Only when no search reads them. */
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
  }

  /** What was replaced since the switch is found through the segment that it was in, until its searches have ended. */
  #relocate(segment: Segment, index: number): void {
    const place = segment.copyOf(index);
    const subject = this.#ordinals.subject(segment.ownerOf(index));
    const location = subject?.references.find((one) => one.segment === segment && one.index === index);
    if (place !== undefined && location !== undefined) Object.assign(location, place);
  }
}
