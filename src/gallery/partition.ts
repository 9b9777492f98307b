import { partitionKey, type PartitionName } from './catalogue.ts';
import { Segment } from './segment.ts';

/** How a partition sizes its segments. */
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

/** A range of references of one segment, as a search reads them. */
export interface SegmentRange {
  readonly segment: Segment;
  /** Index one past the last reference that the search may read. */
  readonly end: number;
}

/** How many references the ranges hold, removed ones included. */
export function countReferences(ranges: readonly SegmentRange[]): number {
  return ranges.reduce((sum, { end }) => sum + end, 0);
}

/** The references of one finger position or one face model. Grows by opening another segment. */
export class Partition {
  readonly name: PartitionName;
  readonly key: string;
  readonly #sizing: SegmentSizing;
  readonly #segments: Segment[] = [];

  constructor(name: PartitionName, sizing: SegmentSizing) {
    this.name = name;
    this.key = partitionKey(name);
    this.#sizing = sizing;
  }

  append(packed: Uint8Array, ordinal: number): { segment: Segment; index: number } {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.isFull) {
      const { capacity, largestRecord, scratchBytes, vectorBytes } = this.#sizing;
      segment = new Segment(capacity, largestRecord, scratchBytes, vectorBytes);
      this.#segments.push(segment);
    }
    return { segment, index: segment.append(packed, ordinal) };
  }

  /** What a search that starts now may read. */
  ranges(): SegmentRange[] {
    return this.#segments
      .filter((segment) => segment.liveCount > 0)
      .map((segment) => ({ segment, end: segment.count }));
  }

  get liveCount(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.liveCount, 0);
  }

  get removedCount(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.count - segment.liveCount, 0);
  }

  get segmentCount(): number {
    return this.#segments.length;
  }

  get memoryBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.memoryBytes, 0);
  }
}
