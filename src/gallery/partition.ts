import { partitionKey, type PartitionName } from './catalogue.ts';
import type { Segment } from './segment.ts';
import type { SegmentSupply } from './segment-supply.ts';

/**
 * A segment is thin when more than this share of its references was removed. Compaction then copies three references at
 * most for each one that was removed, some microseconds; and what is left takes no more than a third above what it needs,
 * in memory and in the time of a scan.
 */
const THIN_SHARE = 1 / 4;
/** And when it has lost at least this share of a full segment: fewer cost a scan less than 0.1 ms, and a rewrite more. */
const THIN_LEAST = 1 / 64;

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

/** The references of one finger position or one face model. Grows by opening another segment, shrinks by compaction. */
export class Partition {
  readonly name: PartitionName;
  readonly key: string;
  readonly supply: SegmentSupply;
  #segments: Segment[] = [];

  /** @param supply - where segments come from, and go to when they were rewritten */
  constructor(name: PartitionName, supply: SegmentSupply) {
    this.name = name;
    this.key = partitionKey(name);
    this.supply = supply;
  }

  /** Another, empty segment, which is read from now on. @param recordBytes - see SegmentSupply.take */
  addSegment(recordBytes?: number): Segment {
    const segment = this.supply.take(recordBytes);
    this.#segments.push(segment);
    return segment;
  }

  append(packed: Uint8Array, ordinal: number): { segment: Segment; index: number } {
    const segment = this.#open ?? this.addSegment();
    return { segment, index: segment.append(packed, ordinal) };
  }

  /**
   * Segments that should be rewritten as one now; none: no segment is thin. With a thin one go as many others as fit,
   * if they are thin or hold no more than those before: whoever is copied without need ends up in a segment at least
   * twice as large, so that happens to nobody often, and small segments do not pile up.
   */
  segmentsToRewrite(): Segment[] {
    const bySize = [...this.#segments].sort((a, b) => a.liveCount - b.liveCount);
    const first = bySize.find((segment) => this.#isThin(segment));
    if (first === undefined) return [];
    const chosen = [first];
    let sum = first.liveCount;
    for (const segment of bySize) {
      const { liveCount } = segment;
      if (segment === first || sum + liveCount > this.supply.capacity) continue;
      if (!this.#isThin(segment) && (liveCount > sum || segment === this.#open)) continue;
      chosen.push(segment);
      sum += liveCount;
    }
    return chosen;
  }

  /**
   * Searches that begin from now on read `rewritten` in the place of the others, if there is anybody in it.
   * @returns segments that they do not read
   */
  replace(segments: readonly Segment[], rewritten: Segment): Segment[] {
    const kept = this.#segments.filter((segment) => !segments.includes(segment));
    const isUsed = rewritten.liveCount > 0;
    // In front: what was opened last goes on being filled first.
    this.#segments = isUsed ? [rewritten, ...kept] : kept;
    return isUsed ? [...segments] : [...segments, rewritten];
  }

  /** What a search that starts now may read. */
  ranges(): SegmentRange[] {
    return this.#segments
      .filter((segment) => segment.liveCount > 0)
      .map((segment) => ({ segment, end: segment.count }));
  }

  /** Gives up all memory. */
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

  /** Where the next reference goes to; undefined: to a new segment. */
  get #open(): Segment | undefined {
    return this.#segments.findLast(({ isOpen }) => isOpen);
  }

  #isThin({ count, liveCount }: Segment): boolean {
    const removed = count - liveCount;
    return removed > THIN_SHARE * count && removed >= THIN_LEAST * this.supply.capacity;
  }
}
