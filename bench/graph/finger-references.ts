/** Fingers: whole candidate vectors and their codes, scanned by the kernels of the service. */
import { claimScratch } from '../../src/gallery/segment-layout.ts';
import { codeTables } from '../../src/matching/kernels/code-tables.ts';
import { CodeEncoder } from '../../src/matching/kernels/finger-codes.ts';
import { instantiateKernels, type Kernels } from '../../src/matching/kernels/kernels.ts';
import { CANDIDATE_BYTES, VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { shippedVectorModel } from '../../src/matching/model/shipped-model.ts';
import { ChoiceMemory, type OwnedValues } from '../../src/matching/workers/choice-memory.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import type { References } from './references.ts';
import { expungeRow, NEVER_STOPPED, readListed, rowsInSegments, type SegmentRows } from './segment-rows.ts';
import type { Sample, VectorSet } from './vector-set.ts';

/** References per kernel call. */
const BATCH = 4096;
/** Ranks are the sums: all subjects have equally many fingers. See rankSubjects. */
const RANKS = Uint16Array.of(0, 0, 256, 1, 256, 1);

/** The kernels over a segment, with the scratch that they use. */
interface ScannedRows extends SegmentRows {
  readonly kernels: Kernels;
  readonly memory: WebAssembly.Memory;
  readonly probe: number;
  readonly scores: number;
}

export class FingerReferences implements References {
  /** This thread's time for the codes of all fingers of a subject, in microseconds. */
  readonly codeMicroseconds: number;
  readonly #positions: readonly (readonly ScannedRows[])[];
  readonly #sums: Int32Array;
  /** Values of the scan of codes, for each position. */
  readonly #values: readonly Uint8Array[];
  readonly #memory = new ChoiceMemory();
  readonly #codeBook = shippedVectorModel().codeBook;
  readonly #subjects: number;

  constructor({ positions, subjects }: VectorSet) {
    this.#subjects = subjects;
    this.#sums = new Int32Array(subjects);
    this.#values = positions.map(() => new Uint8Array(subjects));
    const encoder = new CodeEncoder();
    let microseconds = 0;
    this.#positions = positions.map((vectors) => {
      const before = process.threadCpuUsage();
      const codes = Array.from({ length: subjects }, (_, row) => encoder.encode(vectorAt(vectors, row)));
      const { user, system } = process.threadCpuUsage(before);
      microseconds += user + system;
      const sizing = { ...gallerySizing(SEGMENT_CAPACITY).finger, maxRecordBytes: 0 };
      const packedOf = (row: number) => {
        const packed = new Uint8Array(CANDIDATE_BYTES);
        packed.set(new Uint8Array(vectorAt(vectors, row)));
        packed.set(codes[row], VECTOR_SIZE);
        return packed;
      };
      return rowsInSegments(subjects, sizing, packedOf).map(scanned);
    });
    this.codeMicroseconds = microseconds / subjects;
  }

  search(probe: Sample): number {
    const sums = this.#sums.fill(0);
    this.#positions.forEach((segments, p) => segments.forEach((segment) => addSimilarities(segment, probe[p], sums)));
    let best = 0;
    for (let row = 1; row < sums.length; row++) if (sums[row] > sums[best]) best = row;
    return best;
  }

  othersBefore(probe: Sample, row: number): number {
    this.search(probe);
    const sum = this.#sums[row];
    return this.#sums.reduce((others, other) => (other >= sum ? others + 1 : others), -1);
  }

  /**
   * Scans the codes of all fingers. @returns the rows of the most similar ones, ascending: `wanted`, and those that tie
   * with the last of them
   */
  chooseByCodes(probe: Sample, wanted: number): Uint32Array {
    const instances = this.#positions.map((segments, p) => {
      const tables = codeTables(probe[p], this.#codeBook);
      return segments.map(({ segment, reader, from, count }): OwnedValues => {
        const values = this.#values[p].subarray(from, from + count);
        reader.batches.scanCodes([{ tables, to: count, out: values, stop: NEVER_STOPPED }], 0);
        const { memory, layout } = segment.handle;
        return { owners: new Uint32Array(memory.buffer, layout.ownersAddress, count), values };
      });
    });
    this.#memory.rank(instances, this.#subjects, RANKS);
    const chosen = this.#memory.choose(wanted, this.#subjects);
    this.#memory.release(chosen);
    return chosen;
  }

  mostSimilar(probe: Sample, rows: Uint32Array): number | undefined {
    const sums = new Int32Array(rows.length);
    const similarities = new Int16Array(rows.length);
    this.#positions.forEach((segments, p) => {
      readListed(segments, rows, ({ reader }, indices, before) => {
        reader.vectorSimilarities(probe[p], indices, similarities.subarray(before, before + indices.length));
      });
      for (let i = 0; i < sums.length; i++) sums[i] += Math.max(0, similarities[i]);
    });
    let best = 0;
    for (let i = 1; i < sums.length; i++) if (sums[i] > sums[best]) best = i;
    return rows.at(best);
  }

  expunge(row: number): void {
    for (const segments of this.#positions) expungeRow(segments, row);
  }
}

function vectorAt(vectors: Int8Array, row: number): Int8Array {
  return vectors.subarray(row * VECTOR_SIZE, (row + 1) * VECTOR_SIZE);
}

function scanned(rows: SegmentRows): ScannedRows {
  const { handle } = rows.segment;
  const probe = claimScratch(handle);
  const kernels = instantiateKernels(handle.memory);
  return { ...rows, kernels, memory: handle.memory, probe, scores: probe + 2 * VECTOR_SIZE };
}

/** Scans the whole vectors of a segment. */
function addSimilarities(rows: ScannedRows, vector: Int8Array, sums: Int32Array): void {
  const { segment, kernels, memory, probe, scores, from, count } = rows;
  const { vectorsAddress, directoryAddress } = segment.handle.layout;
  new Int16Array(memory.buffer, probe, VECTOR_SIZE).set(vector);
  for (let first = 0; first < count; first += BATCH) {
    const some = Math.min(BATCH, count - first);
    const vectors = vectorsAddress + first * VECTOR_SIZE;
    kernels.scanVectors(probe, vectors, directoryAddress + 4 * first, some, scores);
    const similarities = new Int16Array(memory.buffer, scores, some);
    for (let i = 0; i < some; i++) if (similarities[i] > 0) sums[from + first + i] += similarities[i];
  }
}
