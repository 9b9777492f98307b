import { partitionKey, type PartitionName } from './catalogue.ts';
import type { Coder, Segment } from './segment.ts';
import type { SegmentSupply } from './segment-supply.ts';

/**
 * A segment is sparse when more than this share of its references was removed. Compaction then copies at most three
 * references for each removed one, some microseconds. Live references take at most a third more than they need, in
 * memory and in scan time.
 */
const SPARSE_SHARE = 1 / 4;
/**
 * Minimum loss as a share of a full segment: fewer removed references cost a scan less than 0.1 ms, and a rewrite more.
 */
const MIN_SPARSE_SHARE = 1 / 64;

/** A range of references of one segment, as a search reads them. */
export interface SegmentRange {
  readonly segment: Segment;
  /** Index one past the last reference that the search may read. */
  readonly end: number;
  /** The coder of all these references, if they were appended without codes. */
  readonly coder?: Coder | undefined;
}

/** Number of references in the ranges, including removed ones. */
export function countReferences(ranges: readonly SegmentRange[]): number {
  return ranges.reduce((sum, { end }) => sum + end, 0);
}

/** The references of one finger position or one face model. Grows by opening a segment, shrinks by compaction. */
export class Partition {
  readonly name: PartitionName;
  readonly key: string;
  readonly supply: SegmentSupply;
  #segments: Segment[] = [];
  #coder: Coder | undefined;
  #isCoded = false;
  #compactions = 0;

  /** @param supply - provides segments, and takes them back after compaction */
  constructor(name: PartitionName, supply: SegmentSupply) {
    this.name = name;
    this.key = partitionKey(name);
    this.supply = supply;
  }

  /** Opens an empty segment, which searches read from now on. @param recordBytes - see SegmentSupply.take */
  addSegment(recordBytes?: number): Segment {
    const segment = this.#take(recordBytes);
    this.#segments.push(segment);
    return segment;
  }

  /** An empty segment outside the partition, as the target of a compaction. To be reported by `endCompaction`. */
  beginCompaction(recordBytes: number): Segment {
    const target = this.#take(recordBytes);
    this.#compactions++;
    return target;
  }

  endCompaction(): void {
    this.#compactions--;
  }

  /** Whether all references are coded. */
  get isCoded(): boolean {
    return this.#isCoded;
  }

  /**
   * References that are added from now on are coded. After a coding that failed, a new one begins.
   * @returns the ranges of those that are there, to be coded by `Segment.writeCodes` before `endCoding`; undefined: not
   * now, since a compaction is copying references that have no codes
   */
  beginCoding(coder: Coder): SegmentRange[] | undefined {
    if (this.#compactions > 0) return undefined;
    this.#coder = coder;
    for (const segment of this.#segments) segment.coder = coder;
    return this.#segments.map((segment) => ({ segment, end: segment.count }));
  }

  /** To be called when all references are coded. */
  endCoding(): void {
    this.#isCoded = true;
  }

  append(packed: Uint8Array, ordinal: number): { segment: Segment; index: number } {
    const segment = this.#open ?? this.addSegment();
    return { segment, index: segment.append(packed, ordinal) };
  }

  /**
   * Segments to compact into one now; empty: no segment is sparse. A sparse segment takes along as many others as fit,
   * if they are sparse or hold no more references than those chosen before. References copied without need then end up
   * in a segment at least twice as large: this is rare for each reference, and small segments do not pile up.
   */
  segmentsToCompact(): Segment[] {
    const bySize = [...this.#segments].sort((a, b) => a.liveCount - b.liveCount);
    const first = bySize.find((segment) => this.#isSparse(segment));
    if (first === undefined) return [];
    const chosen = [first];
    let sum = first.liveCount;
    for (const segment of bySize) {
      const { liveCount } = segment;
      if (segment === first || sum + liveCount > this.supply.capacity) continue;
      if (!this.#isSparse(segment) && (liveCount > sum || segment === this.#open)) continue;
      chosen.push(segment);
      sum += liveCount;
    }
    return chosen;
  }

  /**
   * Searches that begin from now on read `rewritten` in place of the others, unless it is empty.
   * @returns segments that they do not read
   */
  replace(segments: readonly Segment[], rewritten: Segment): Segment[] {
    const kept = this.#segments.filter((segment) => !segments.includes(segment));
    const isUsed = rewritten.liveCount > 0;
    // In front: the last segment stays the one to be filled first.
    this.#segments = isUsed ? [rewritten, ...kept] : kept;
    return isUsed ? [...segments] : [...segments, rewritten];
  }

  /** The ranges that a search starting now may read. */
  ranges(): SegmentRange[] {
    return this.#segments
      .filter((segment) => segment.liveCount > 0)
      .map((segment) => ({ segment, end: segment.count, coder: this.#isCoded ? this.#coder : undefined }));
  }

  /** Releases all memory. */
  close(): void {
    for (const segment of this.#segments) this.supply.release(segment);
    this.#segments = [];
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

  /** See Segment. */
  get usedBytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.usedBytes, 0);
  }

  /** Segment for the next reference; undefined: a new one is needed. */
  get #open(): Segment | undefined {
    return this.#segments.findLast(({ isOpen }) => isOpen);
  }

  #take(recordBytes?: number): Segment {
    const segment = this.supply.take(recordBytes);
    segment.coder = this.#coder;
    return segment;
  }

  #isSparse({ count, liveCount }: Segment): boolean {
    const removed = count - liveCount;
    return removed > SPARSE_SHARE * count && removed >= MIN_SPARSE_SHARE * this.supply.capacity;
  }
}
