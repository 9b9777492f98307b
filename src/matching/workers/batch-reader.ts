import { blockOffset, BLOCK } from '../../gallery/code-plane.ts';
import { aligned, type SegmentHandle } from '../../gallery/segment-layout.ts';
import { batchSizes, MAX_BATCH_PROBES, type BatchSize } from '../kernels/batch-kernels.ts';
import { NIBBLE, type CandidateKernels } from '../kernels/candidate-kernels.ts';
import type { CodeTables } from '../kernels/code-tables.ts';
import { REMOVED_SIMILARITY, type Kernels } from '../kernels/kernels.ts';
import { faceScale } from '../kernels/similarity.ts';
import { CENTROIDS, CODE_PAIRS } from '../model/finger-vector-model.ts';
import { isStopped, type StopMark } from './stop-signal.ts';

export const MAX_FACE_BYTES = 2048;

/**
 * References between two looks at the stop words. Their codes, or their embeddings, stay in the second-level cache while
 * probes for which there is no single kernel are served by two or three.
 */
const CODES_AT_A_TIME = 8192;
const FACES_AT_A_TIME = 1024;

/** A face prepared for a batch: two bytes for each component. */
const PREPARED_BYTES = Math.max(2 * MAX_FACE_BYTES, CODE_PAIRS * CENTROIDS);
const STRIDE = Math.max(CODES_AT_A_TIME, 2 * FACES_AT_A_TIME);
/** Bytes of one probe in sixteen components of all, see prepareFace. */
const PREPARED_STEP = 32;
const CONSTANT_BYTES = aligned(4 * MAX_BATCH_PROBES);

/** Scratch of a batch: constants and tables of each probe, and its results. */
export const BATCH_SCRATCH_BYTES = CONSTANT_BYTES + MAX_BATCH_PROBES * (PREPARED_BYTES + STRIDE);

/** What one probe of a batch reads, up to its own end. */
interface Reading<Values extends Uint8Array | Int16Array> {
  /** One past the last reference. */
  readonly to: number;
  /** For each reference from the first on. */
  readonly out: Values;
  readonly stop: StopMark;
}

/** u8 for each reference, see ScanCodesTask; 0 for those not scanned. */
export interface CodeReading extends Reading<Uint8Array> {
  readonly tables: CodeTables;
}

/** i16 for each reference, see ScanTask; REMOVED_SIMILARITY for those not scanned. */
export interface FaceReading extends Reading<Int16Array> {
  /** A packed face of the segment's model. */
  readonly face: Uint8Array;
}

/** Runs one kernel for some of the probes. @returns references that were not removed */
type Pass = (first: number, count: number) => number;

/** Kernels, and the scratch of the calling thread. */
interface Parts {
  readonly handle: SegmentHandle;
  readonly kernels: Kernels;
  readonly candidates: CandidateKernels;
  /** BATCH_SCRATCH_BYTES. */
  readonly scratch: number;
  /** FACE_SCRATCH_BYTES. */
  readonly faceScratch: number;
}

/**
 * One thread's reading of one segment for 1 to MAX_BATCH_PROBES probes at the same time. Every probe gets the results of
 * a scan of its own. Probes that are stopped, or whose range ends, leave the batch; the others go on without them.
 */
export class BatchReader {
  readonly #parts: Parts;
  readonly #constants: number;
  readonly #prepared: number;
  readonly #results: number;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#constants = parts.scratch;
    this.#prepared = this.#constants + CONSTANT_BYTES;
    this.#results = this.#prepared + MAX_BATCH_PROBES * PREPARED_BYTES;
  }

  /**
   * @param from - a multiple of BLOCK
   * @returns for each probe: references scanned
   */
  scanCodes(probes: readonly CodeReading[], from: number): readonly number[] {
    const shape = { from, step: CODES_AT_A_TIME, unit: BLOCK };
    const { read } = inTurns(probes, shape, (members, before) => this.#codePass(members, before, from));
    probes.forEach(({ out }, p) => out.fill(0, read[p]));
    return read;
  }

  /** @returns for each probe: references scanned, and those of them that were not removed */
  scanFaces(probes: readonly FaceReading[], from: number): Done {
    const shape = { from, step: FACES_AT_A_TIME, unit: 1 };
    const done = inTurns(probes, shape, (members, before) => this.#facePass(members, before, from));
    probes.forEach(({ out }, p) => out.fill(REMOVED_SIMILARITY, done.read[p]));
    return done;
  }

  #codePass(members: readonly CodeReading[], before: number, from: number): Pass {
    const { handle, candidates } = this.#parts;
    const { codesAddress, codeBytes } = handle.layout;
    const { buffer } = handle.memory;
    const rows = 2 * codeBytes;
    const [tables, bases] = [this.#prepared + before * PREPARED_BYTES, this.#constants + before];
    const size = sizeOf(members);
    members.forEach((member, m) => {
      new Uint8Array(buffer, bases, size)[m] = member.tables.base;
      interleave(member.tables.tables, new Int32Array(buffer, tables, (size * rows * CENTROIDS) / 4), m, size);
    });
    const results = this.#results;
    const scan = (codes: number, count: number) => {
      if (size === 1) candidates.scanCodes(tables, rows, members[0].tables.base, codes, count, NIBBLE, results);
      else candidates[`scanCodes${size}`](tables, rows, bases, codes, count, NIBBLE, results, STRIDE);
    };
    return (first, count) => {
      scan(codesAddress + blockOffset(first, codeBytes), count);
      members.forEach(({ out, to }, m) => {
        out.set(new Uint8Array(buffer, results + m * STRIDE, Math.min(count, to - first)), first - from);
      });
      return count;
    };
  }

  #facePass(members: readonly FaceReading[], before: number, from: number): Pass {
    const { handle, kernels, candidates, faceScratch } = this.#parts;
    const { buffer } = handle.memory;
    const dimension = members[0].face.length;
    const [prepared, rests] = [this.#prepared + before * PREPARED_BYTES, this.#constants + 4 * before];
    const [results, scale] = [this.#results, faceScale(dimension)];
    const size = sizeOf(members);
    members.forEach(({ face }, m) => {
      if (size === 1) new Uint8Array(buffer, prepared, dimension).set(face);
      else {
        // The results are still unused.
        new Uint8Array(buffer, results, dimension).set(face);
        const rest = candidates.prepareFace(results, dimension, size, prepared + PREPARED_STEP * m);
        new Int32Array(buffer, rests, size)[m] = rest;
      }
    });
    return (first, count) => {
      const directory = handle.layout.directoryAddress + 4 * first;
      const present =
        size === 1
          ? kernels.resembleFaces(prepared, dimension, directory, count, results, scale, faceScratch)
          : candidates[`resembleFaces${size}`](prepared, dimension, rests, directory, count, scale, results, STRIDE);
      members.forEach(({ out }, m) => {
        out.set(new Int16Array(buffer, results + m * STRIDE, count), first - from);
      });
      return present;
    };
  }
}

/** For each probe: references scanned, and those of them that were not removed. */
interface Done {
  readonly read: readonly number[];
  readonly present: readonly number[];
}

interface Shape {
  readonly from: number;
  /** References at a time. */
  readonly step: number;
  /** Passes begin at multiples of it. */
  readonly unit: number;
}

/**
 * Reads some references for all probes, then the next ones, as long as any probe goes on.
 * @param prepare - lays out a pass for some probes; `before`: probes laid out before, whose scratch is not free
 */
function inTurns<Probe extends Reading<Uint8Array | Int16Array>>(
  probes: readonly Probe[],
  { from, step, unit }: Shape,
  prepare: (members: readonly Probe[], before: number) => Pass,
): Done {
  const read = probes.map(() => 0);
  const present = probes.map(() => 0);
  let passes: { readonly pass: Pass; readonly members: readonly number[] }[] = [];
  let known = 0;
  for (let at = from; ;) {
    const going = [...probes.keys()].filter((p) => at < probes[p].to && !isStopped(probes[p].stop));
    if (going.length === 0) return { read, present };
    // A probe that has left does not come back: fewer probes are other probes.
    if (going.length !== known) {
      let before = 0;
      passes = batchSizes(going.length).map((size) => {
        const members = going.slice(before, before + size);
        const pass = prepare(
          members.map((p) => probes[p]),
          before,
        );
        before += size;
        return { pass, members };
      });
      known = going.length;
    }
    // Up to the nearest end: a pass counts for all of its probes.
    const nearest = Math.min(...going.map((p) => probes[p].to));
    const count = Math.min(step, unit * Math.ceil((nearest - at) / unit));
    for (const { pass, members } of passes) {
      const found = pass(at, count);
      for (const p of members) {
        read[p] += Math.min(count, probes[p].to - at);
        present[p] += found;
      }
    }
    at += count;
  }
}

/** Copies the rows of a probe's tables to their places between those of the others. */
function interleave(
  { buffer, byteOffset, byteLength }: Uint8Array,
  out: Int32Array,
  probe: number,
  probes: number,
): void {
  const words = new Int32Array(buffer, byteOffset, byteLength / 4);
  const row = CENTROIDS / 4;
  // No subarrays: there would be thousands in a task.
  for (let w = 0; w < words.length; w++)
    out[((w - (w % row)) / row) * row * probes + probe * row + (w % row)] = words[w];
}

function sizeOf({ length }: readonly unknown[]): BatchSize | 1 {
  if (length === 1 || length === 2 || length === 4 || length === 8) return length;
  throw new RangeError(`no kernel serves ${length} probes`);
}
