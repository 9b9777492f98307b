/** Rows in segments as in the service, read by its kernels on this thread. */
import type { SegmentSizing } from '../../src/gallery/segment-supply.ts';
import { Segment } from '../../src/gallery/segment.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import { SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { StopSignal } from '../../src/matching/workers/stop-signal.ts';

export const NEVER_STOPPED = new StopSignal().all;

export interface SegmentRows {
  readonly segment: Segment;
  readonly reader: SegmentReader;
  /** First row. */
  readonly from: number;
  readonly count: number;
}

/** @param packedOf - the stored bytes of a row; its number is the ordinal of its subject */
export function rowsInSegments(
  rows: number,
  sizing: SegmentSizing,
  packedOf: (row: number) => Uint8Array,
): SegmentRows[] {
  const { maxRecordBytes } = sizing;
  const segments: SegmentRows[] = [];
  for (let from = 0; from < rows; from += SEGMENT_CAPACITY) {
    const count = Math.min(SEGMENT_CAPACITY, rows - from);
    const segment = new Segment(SEGMENT_CAPACITY, maxRecordBytes, sizing);
    for (let row = from; row < from + count; row++) segment.append(packedOf(row), row);
    segments.push({ segment, reader: new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS), from, count });
  }
  return segments;
}

/**
 * Reads listed rows, segment by segment.
 * @param rows - ascending
 * @param read - of some rows of a segment, their indices there and the number of rows before them
 */
export function readListed(
  segments: readonly SegmentRows[],
  rows: Uint32Array,
  read: (segment: SegmentRows, indices: Uint32Array, before: number) => void,
): void {
  let before = 0;
  for (const segment of segments) {
    const end = segment.from + segment.count;
    let after = before;
    while (after < rows.length && rows[after] < end) after++;
    if (after > before)
      read(
        segment,
        rows.subarray(before, after).map((row) => row - segment.from),
        before,
      );
    before = after;
  }
}

/** Removes a row as expunging does: hidden at once, then overwritten. */
export function expungeRow(segments: readonly SegmentRows[], row: number): void {
  const { segment, from } = segments[Math.floor(row / SEGMENT_CAPACITY)];
  const address = segment.addressOf(row - from);
  segment.remove(row - from);
  segment.erase(row - from, address);
}
