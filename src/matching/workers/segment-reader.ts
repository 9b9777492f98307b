import { claimScratch, type SegmentHandle } from '../../gallery/segment-layout.ts';
import { SubjectMask, type SubjectFilter } from '../../gallery/subject-filter.ts';
import { explainedComparison, type ExplainedComparison } from '../model/explained-comparison.ts';
import { readExplanation } from '../model/finger-explanation.ts';
import { CANDIDATE_BYTES, VECTOR_SIZE } from '../model/finger-vector-model.ts';
import { instantiateCandidateKernels, type CandidateKernels } from '../kernels/candidate-kernels.ts';
import type { Calibrations } from '../rates/calibrations.ts';
import { faceScale, vectorOf } from '../kernels/similarity.ts';
import type { KernelBuild } from '../kernels/kernel-builds.ts';
import {
  FACE_SCRATCH_BYTES,
  FINGER_PACKED_MAX_BYTES,
  FINGER_SCRATCH_BYTES,
  instantiateKernels,
  REMOVED_SCORE,
  REMOVED_SIMILARITY,
  type Kernels,
} from '../kernels/kernels.ts';
import { BATCH_SCRATCH_BYTES, BatchReader, MAX_FACE_BYTES } from './batch-reader.ts';
import type { CompareResult, ScanResult } from './messages.ts';
import { isStopped, StopSignal, type StopMark } from './stop-signal.ts';
import type { FaceKind, PackedProbe } from '../kernels/packed-probe.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

/** References per kernel call: enough for the cost of a call not to matter, few enough to notice a stop within 2 ms. */
const FINGER_BATCH = 64;
const FACE_BATCH = 4096;
/** Scattered references per call. */
const VECTOR_BATCH = 4096;
/**
 * Share of the faces of a batch from which on all are read, and the similarities of those outside the filter dropped in
 * this thread. Memory is read ahead in order: every face that is skipped costs more than a comparison.
 */
const READ_IN_ORDER = 1 / 4;
const MAX_BATCH = Math.max(FINGER_BATCH, FACE_BATCH, VECTOR_BATCH);
const KERNEL_SCRATCH_BYTES = Math.max(FINGER_SCRATCH_BYTES, FACE_SCRATCH_BYTES);
const PROBE_BYTES = Math.max(FINGER_PACKED_MAX_BYTES + CANDIDATE_BYTES, MAX_FACE_BYTES);

const NEVER_STOPPED = new StopSignal().all;

const SCORES_BYTES = MAX_BATCH * 4;

/** Scratch that one thread needs in a segment: probe, kernel scratch, scores, its own directory, and that of a batch. */
export const SEGMENT_SCRATCH_BYTES = PROBE_BYTES + KERNEL_SCRATCH_BYTES + 2 * SCORES_BYTES + BATCH_SCRATCH_BYTES;

/** One thread's view of one segment: the kernels, instantiated over the segment's memory, and the thread's scratch. */
export class SegmentReader {
  /** Reads for several probes at the same time. */
  readonly batches: BatchReader;
  readonly #kernels: Kernels;
  readonly #candidates: CandidateKernels;
  readonly #calibrations: Calibrations;
  readonly #memory: WebAssembly.Memory;
  readonly #directoryAddress: number;
  readonly #ownersAddress: number;
  readonly #vectorsAddress: number;
  readonly #probeAddress: number;
  readonly #scratchAddress: number;
  readonly #scoresAddress: number;
  readonly #ownDirectoryAddress: number;

  constructor(handle: SegmentHandle, calibrations: Calibrations, build?: KernelBuild) {
    this.#calibrations = calibrations;
    this.#memory = handle.memory;
    this.#kernels = instantiateKernels(handle.memory, undefined, build);
    this.#candidates = instantiateCandidateKernels(handle.memory, build);
    this.#directoryAddress = handle.layout.directoryAddress;
    this.#ownersAddress = handle.layout.ownersAddress;
    this.#vectorsAddress = handle.layout.vectorsAddress;
    this.#probeAddress = claimScratch(handle);
    this.#scratchAddress = this.#probeAddress + PROBE_BYTES;
    this.#scoresAddress = this.#scratchAddress + KERNEL_SCRATCH_BYTES;
    this.#ownDirectoryAddress = this.#scoresAddress + SCORES_BYTES;
    const [scratch, faceScratch] = [this.#ownDirectoryAddress + SCORES_BYTES, this.#scratchAddress];
    this.batches = new BatchReader({
      handle,
      kernels: this.#kernels,
      candidates: this.#candidates,
      scratch,
      faceScratch,
    });
  }

  /**
   * Similarities of the probe and references `from` to `to`, see ScanTask, batch by batch, until done or stopped.
   * @param out - i16 for each reference, `out[i]` of reference `from + i`; REMOVED_SIMILARITY for those not scanned
   * @param stop - checked between batches
   * @param filter - see ScanTask
   */
  scan(
    probe: PackedProbe,
    from: number,
    to: number,
    out: Int16Array,
    stop: StopMark,
    filter?: SubjectFilter,
  ): Omit<ScanResult, 'busyMs'> {
    this.#loadProbe(probe);
    const batch = probe.modality === 'finger' ? FINGER_BATCH : FACE_BATCH;
    const mask = filter && new SubjectMask(filter);
    let [read, passed, searched] = [0, 0, 0];
    while (from + read < to && !isStopped(stop)) {
      const first = from + read;
      const count = Math.min(batch, to - first);
      const part = out.subarray(read, read + count);
      const passing = mask === undefined ? count : this.#filterDirectory(mask, first, count);
      const shared = this.#directoryAddress + first * 4;
      const directory = mask === undefined ? shared : this.#ownDirectoryAddress;
      if (passing === 0) part.fill(REMOVED_SIMILARITY);
      else if (probe.modality === 'face' && mask !== undefined && passing >= READ_IN_ORDER * count) {
        this.#resembleFaces(probe.dimension, shared, count, part);
        searched += this.#dropMasked(part);
      } else if (probe.modality === 'face') searched += this.#resembleFaces(probe.dimension, directory, count, part);
      else searched += this.#rateFingers(probe, directory, count, part);
      passed += passing;
      read += count;
    }
    out.fill(REMOVED_SIMILARITY, read);
    return { read, passed, searched };
  }

  /** A copy of the first bytes of a record; undefined: removed. */
  record(index: number, bytes: number): Uint8Array | undefined {
    const address = Atomics.load(new Uint32Array(this.#memory.buffer, this.#directoryAddress), index) * 16;
    return address === 0 ? undefined : Uint8Array.from(new Uint8Array(this.#memory.buffer, address, bytes));
  }

  /**
   * Similarities of a probe and listed references, by the candidate vectors of fingers or the embeddings of faces.
   * @param indices - ascending
   * @param out - i16 for each index; REMOVED_SIMILARITY for a removed reference
   */
  similaritiesAt(probe: PackedProbe, indices: Uint32Array, out: Int16Array): void {
    if (probe.modality === 'finger') this.vectorSimilarities(vectorOf(probe.packed), indices, out);
    else this.#faceSimilarities(probe, indices, out);
  }

  #faceSimilarities(probe: PackedProbe & FaceKind, indices: Uint32Array, out: Int16Array): void {
    this.#loadProbe(probe);
    for (let start = 0; start < indices.length; start += FACE_BATCH) {
      const some = indices.subarray(start, start + FACE_BATCH);
      this.#listInDirectory(some);
      this.#resembleFaces(probe.dimension, this.#ownDirectoryAddress, some.length, out.subarray(start));
    }
  }

  /** Like similaritiesAt, for fingers of which there is only the candidate vector. */
  vectorSimilarities(vector: Int8Array, indices: Uint32Array, out: Int16Array): void {
    const { buffer } = this.#memory;
    this.#loadWidened(vector);
    for (let start = 0; start < indices.length; start += VECTOR_BATCH) {
      const some = indices.subarray(start, start + VECTOR_BATCH);
      new Uint32Array(buffer, this.#ownDirectoryAddress, some.length).set(some);
      this.#candidates.similaritiesAt(
        this.#probeAddress,
        VECTOR_SIZE,
        this.#vectorsAddress,
        this.#directoryAddress,
        this.#ownDirectoryAddress,
        some.length,
        this.#scoresAddress,
      );
      out.set(new Int16Array(buffer, this.#scoresAddress, some.length), start);
    }
  }

  /**
   * Compares the probe with single references. Scores are in the order of the indices.
   * @param stop - checked between batches; REMOVED_SCORE for references not compared
   * @param minSupport - see CompareTask
   */
  compare(
    probe: PackedProbe,
    indices: Uint32Array,
    stop: StopMark = NEVER_STOPPED,
    minSupport?: number,
  ): Omit<CompareResult, 'busyMs'> {
    const result = new Int32Array(indices.length).fill(REMOVED_SCORE);
    const batch = probe.modality === 'finger' ? FINGER_BATCH : FACE_BATCH;
    this.#loadProbe(probe);
    let start = 0;
    for (; start < indices.length && !isStopped(stop); start += batch) {
      const some = indices.subarray(start, start + batch);
      this.#listInDirectory(some);
      result.set(this.#run(probe, this.#ownDirectoryAddress, some.length, minSupport), start);
    }
    return { scores: result, compared: Math.min(start, indices.length) };
  }

  /**
   * Explains the score of a finger with one reference.
   * @param probe - a packed finger
   * @returns undefined when the reference was removed
   */
  explain(probe: Uint8Array, index: number): ExplainedComparison | undefined {
    const address = Atomics.load(new Uint32Array(this.#memory.buffer, this.#directoryAddress), index) * 16;
    if (address === 0) return undefined;
    this.#loadProbe({ modality: 'finger', packed: probe });
    // The kernel's answer goes to the score area, which is larger than EXPLANATION_BYTES.
    this.#kernels.explainFingers(this.#probeAddress, address, this.#scoresAddress, this.#scratchAddress);
    const { buffer } = this.#memory;
    const explanation = readExplanation(buffer, this.#scoresAddress);
    return explainedComparison(explanation, probe, new Uint8Array(buffer, address), shippedFingerModel());
  }

  /** Widens the vector to sixteen bits per value, as the vector kernel reads it. */
  #loadWidened(vector: Int8Array): void {
    new Int16Array(this.#memory.buffer, this.#probeAddress, vector.length).set(vector);
  }

  #loadProbe(probe: PackedProbe): void {
    new Uint8Array(this.#memory.buffer, this.#probeAddress, probe.packed.byteLength).set(probe.packed);
  }

  /** Writes this thread's own directory with listed references. */
  #listInDirectory(indices: Uint32Array): void {
    const directory = new Int32Array(this.#memory.buffer, this.#directoryAddress);
    const own = new Int32Array(this.#memory.buffer, this.#ownDirectoryAddress, indices.length);
    for (let i = 0; i < indices.length; i++) own[i] = Atomics.load(directory, indices[i]);
  }

  /** Writes this thread's directory of the references that pass the mask. @returns their number */
  #filterDirectory(mask: SubjectMask, first: number, count: number): number {
    const { buffer } = this.#memory;
    const directory = new Int32Array(buffer, this.#directoryAddress + first * 4, count);
    const owners = new Uint32Array(buffer, this.#ownersAddress + first * 4, count);
    return mask.copyEntries(directory, owners, new Int32Array(buffer, this.#ownDirectoryAddress, count));
  }

  /**
   * Drops the similarities of references that are not in this thread's directory.
   * @returns the number of the others
   */
  #dropMasked(similarities: Int16Array): number {
    const own = new Int32Array(this.#memory.buffer, this.#ownDirectoryAddress, similarities.length);
    let present = 0;
    for (let i = 0; i < similarities.length; i++) {
      if (own[i] === 0) similarities[i] = REMOVED_SIMILARITY;
      else present++;
    }
    return present;
  }

  /** @returns references not removed */
  #rateFingers(probe: PackedProbe, directory: number, count: number, out: Int16Array): number {
    const rates = this.#calibrations.rateTable(probe);
    const scores = this.#run(probe, directory, count);
    let present = 0;
    for (let i = 0; i < count; i++) {
      const removed = scores[i] === REMOVED_SCORE;
      out[i] = removed ? REMOVED_SIMILARITY : rates.at(scores[i]);
      if (!removed) present++;
    }
    return present;
  }

  /** @returns references not removed */
  #resembleFaces(dimension: number, directory: number, count: number, out: Int16Array): number {
    const [probe, scores, scale] = [this.#probeAddress, this.#scoresAddress, faceScale(dimension)];
    const present = this.#kernels.resembleFaces(
      probe,
      dimension,
      directory,
      count,
      scores,
      scale,
      this.#scratchAddress,
    );
    out.set(new Int16Array(this.#memory.buffer, scores, count));
    return present;
  }

  #run(probe: PackedProbe, directory: number, count: number, minSupport?: number): Int32Array {
    const [address, scores, scratch] = [this.#probeAddress, this.#scoresAddress, this.#scratchAddress];
    if (probe.modality === 'finger') {
      if (minSupport === undefined) this.#kernels.compareFingers(address, directory, count, scores, scratch);
      else this.#kernels.screenFingers(address, directory, count, minSupport, scores, scratch);
    } else this.#kernels.compareFaces(address, probe.dimension, directory, count, scores, scratch);
    return new Int32Array(this.#memory.buffer, scores, count);
  }
}
