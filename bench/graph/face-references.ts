/** Faces: whole embeddings, scanned and compared by the kernels of the service. */
import { gallerySizing, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { FACE_MODEL } from '../people/synthetic-face.ts';
import type { References } from './references.ts';
import { expungeRow, NEVER_STOPPED, readListed, rowsInSegments, type SegmentRows } from './segment-rows.ts';
import type { Sample, VectorSet } from './vector-set.ts';

export class FaceReferences implements References {
  readonly #dimension: number;
  readonly #segments: readonly SegmentRows[];
  readonly #similarities: Int16Array;

  constructor({ positions: [references], dimension, subjects }: VectorSet) {
    this.#dimension = dimension;
    this.#similarities = new Int16Array(subjects);
    const sizing = { ...gallerySizing(SEGMENT_CAPACITY).face(FACE_MODEL), maxRecordBytes: dimension };
    this.#segments = rowsInSegments(
      subjects,
      sizing,
      (row) => new Uint8Array(references.buffer, references.byteOffset + row * dimension, dimension),
    );
  }

  search(probe: Sample): number {
    const similarities = this.#similarities;
    const packed = this.#packed(probe);
    for (const { reader, from, count } of this.#segments) {
      reader.scan(packed, 0, count, similarities.subarray(from, from + count), NEVER_STOPPED);
    }
    let best = 0;
    for (let row = 1; row < similarities.length; row++) if (similarities[row] > similarities[best]) best = row;
    return best;
  }

  othersBefore(probe: Sample, row: number): number {
    this.search(probe);
    const similarities = this.#similarities;
    // Similarities are rounded scores: rows of equal similarity are ranked by their scores.
    const score = this.#score(probe, row);
    let others = 0;
    for (let other = 0; other < similarities.length; other++) {
      if (other === row || similarities[other] < similarities[row]) continue;
      if (similarities[other] > similarities[row] || this.#score(probe, other) >= score) others++;
    }
    return others;
  }

  mostSimilar(probe: Sample, rows: Uint32Array): number | undefined {
    const packed = this.#packed(probe);
    let [best, most]: [number | undefined, number] = [undefined, -Infinity];
    readListed(this.#segments, rows, ({ reader }, indices, before) => {
      const { scores } = reader.compare(packed, indices);
      for (let i = 0; i < scores.length; i++) if (scores[i] > most) [best, most] = [rows[before + i], scores[i]];
    });
    return best;
  }

  expunge(row: number): void {
    expungeRow(this.#segments, row);
  }

  #score(probe: Sample, row: number): number {
    const { reader, from } = this.#segments[Math.floor(row / SEGMENT_CAPACITY)];
    return reader.compare(this.#packed(probe), Uint32Array.of(row - from)).scores[0];
  }

  #packed([face]: Sample): PackedProbe {
    const packed = new Uint8Array(face.buffer, face.byteOffset, face.byteLength);
    return { modality: 'face', packed, modelId: FACE_MODEL, dimension: this.#dimension };
  }
}
