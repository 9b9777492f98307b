/** The exact scan like a worker of the service: kernels over segments, on this thread. */
import { Segment } from '../../src/gallery/segment.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { FACE_MODEL } from '../people/synthetic-face.ts';
import type { FaceSet } from './face-set.ts';

const NEVER_STOPPED = new StopSignal().all;

export class ExactScan {
  readonly #dimension: number;
  readonly #readers: { readonly reader: SegmentReader; readonly from: number; readonly count: number }[] = [];
  readonly #similarities: Int16Array;

  constructor({ references, dimension }: FaceSet) {
    const rows = references.length / dimension;
    this.#dimension = dimension;
    this.#similarities = new Int16Array(rows);
    const { scratchBytes } = gallerySizing(SEGMENT_CAPACITY).face(FACE_MODEL);
    for (let from = 0; from < rows; from += SEGMENT_CAPACITY) {
      const count = Math.min(SEGMENT_CAPACITY, rows - from);
      const segment = new Segment(SEGMENT_CAPACITY, dimension, { scratchBytes });
      for (let row = from; row < from + count; row++) {
        segment.append(new Uint8Array(references.buffer, row * dimension, dimension), row);
      }
      this.#readers.push({ reader: new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS), from, count });
    }
  }

  /** Reads every face. @returns the row of the most similar one */
  search(face: Int8Array): number {
    const similarities = this.#similarities;
    const probe = this.#packed(face);
    for (const { reader, from, count } of this.#readers) {
      reader.scan(probe, 0, count, similarities.subarray(from, from + count), NEVER_STOPPED);
    }
    let best = 0;
    for (let row = 1; row < similarities.length; row++) if (similarities[row] > similarities[best]) best = row;
    return best;
  }

  /** Whether the comparison score with a row is greater than with any other. */
  isFirst(face: Int8Array, row: number): boolean {
    const best = this.search(face);
    const similarities = this.#similarities;
    if (similarities[best] > similarities[row]) return false;
    // Similarities are rounded scores: rows of equal similarity are ranked by their scores.
    const score = this.#score(face, row);
    return similarities.every(
      (similarity, other) => similarity < similarities[row] || other === row || this.#score(face, other) < score,
    );
  }

  #score(face: Int8Array, row: number): number {
    const { reader, from } = this.#readers[Math.floor(row / SEGMENT_CAPACITY)];
    return reader.compare(this.#packed(face), Uint32Array.of(row - from)).scores[0];
  }

  #packed(face: Int8Array): PackedProbe {
    const packed = new Uint8Array(face.buffer, face.byteOffset, face.byteLength);
    return { modality: 'face', packed, modelId: FACE_MODEL, dimension: this.#dimension };
  }
}
