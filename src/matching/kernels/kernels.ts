/** The host side of the comparison kernels: where to find them, and the memory that they need. */
import { createHash } from 'node:crypto';
import type { FingerModel } from '../model/finger-model.ts';
import { kernelModule, readModule, type KernelBuild } from './kernel-builds.ts';
import { VECTOR_TABLES_BYTES } from '../model/finger-vector-model.ts';
import { FINGER_PACKED_MAX_BYTES } from '../model/packed-layout.ts';
import { KNOT_COUNT } from '../model/score-terms.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

export { FINGER_PACKED_MAX_BYTES } from '../model/packed-layout.ts';

/** Bytes at the start of every memory that belong to the kernels: their constant tables, and the score's weights. */
export { STATIC_BYTES as KERNEL_STATIC_BYTES } from '../../gallery/segment-layout.ts';
/** Address of the finger score's weights, in every memory. */
const FINGER_WEIGHTS_ADDRESS = 32_768;
/** Bytes that `explainFingers` writes. */
export const EXPLANATION_BYTES = 1040;
/** Bytes of scratch that `compareFingers` needs, 16-byte aligned. A scratch serves one thread at a time. */
export const FINGER_SCRATCH_BYTES = 37_472;
/** Bytes of scratch that `encodeFinger` needs, 16-byte aligned. */
export const ENCODE_SCRATCH_BYTES = 58_384;
/** Bytes of scratch that `compareFaces` and `resembleFaces` need, 16-byte aligned. */
export const FACE_SCRATCH_BYTES = 4096;
/** `scanVectors` and `resembleFaces` write this for a removed reference: less than any similarity. */
export const REMOVED_SIMILARITY = -32_768;
/** Bytes of scratch that `encodeVector` needs, 16-byte aligned. */
export const VECTOR_SCRATCH_BYTES = 18_736;
/** Score of a reference that was removed: the smallest 32-bit integer. */
export const REMOVED_SCORE = -(2 ** 31);
/** A finger with fewer minutiae cannot be compared. */
export const MINIMUM_MINUTIAE = 5;
/** The highest comparison score of two fingers. */
export const MAX_FINGER_SCORE = 65_535;

/**
 * The kernels over one memory. All arguments are byte addresses or counts, and nothing is checked: packed fingers must
 * come from `encodeFinger`, and areas must be as large as the constants above.
 */
export interface Kernels {
  /**
   * Reorders the planes of a model in place, into the order in which `encodeFinger` reads them. To be called once.
   * @param planes - the model's planes, then their offsets; 16-byte aligned
   * @param scratch - ENCODE_SCRATCH_BYTES, 16-byte aligned
   */
  arrangePlanes(planes: number, scratch: number): void;
  /**
   * @param minutiae - `count` × 8 bytes: i16 x, i16 y (pixels at 500 dpi), u8 angle (256ths), u8 attributes (see
   * packed-layout.ts), u16 unused
   * @param out - room for the packed finger, see packed-layout.ts; 16-byte aligned
   * @param planes - from `arrangePlanes`
   * @returns its bytes; 0 for fewer than MINIMUM_MINUTIAE or more than MAX_MINUTIAE
   */
  encodeFinger(minutiae: number, count: number, out: number, planes: number, scratch: number): number;
  /**
   * Makes the candidate vector of a packed finger, see finger-vector-model.ts.
   * @param out - i8 [256], 16-byte aligned
   * @param tables - the vector model's parts, concatenated; 16-byte aligned
   */
  encodeVector(packed: number, out: number, tables: number, scratch: number): void;
  /**
   * Inner products of a candidate vector with `count` others, divided by 8; REMOVED_SIMILARITY where `directory` is 0.
   * @param probe - the vector widened to i16 [256]; 16-byte aligned
   * @param vectors - i8 [count × 256]; 16-byte aligned
   * @param scores - i16 [count]
   */
  scanVectors(probe: number, vectors: number, directory: number, count: number, scores: number): void;
  /**
   * Compares one packed finger with `count` others. The score is symmetric in probe and reference.
   * @param directory - u32 for each: its address / 16; 0: removed
   * @param scores - i32 for each: 0 to MAX_FINGER_SCORE, or REMOVED_SCORE
   */
  compareFingers(probe: number, directory: number, count: number, scores: number, scratch: number): void;
  /**
   * Like `compareFingers`, but ends earlier: 0 instead of a score where the largest support of a pair of minutiae is
   * below `minSupport`. Other scores are those of `compareFingers`, which ends at 0.9.
   */
  screenFingers(
    probe: number,
    directory: number,
    count: number,
    minSupport: number,
    scores: number,
    scratch: number,
  ): void;
  /**
   * Compares two packed fingers and explains the score, see finger-explanation.ts.
   * @param out - EXPLANATION_BYTES, 8-byte aligned
   */
  explainFingers(probe: number, reference: number, out: number, scratch: number): void;
  /**
   * Compares one packed face with `count` others of the same model.
   * @param dimension - bytes of a packed face, a multiple of 16, at most 2048
   * @param directory - u32 for each: its address / 16; 0: removed
   * @param scores - i32 for each: the inner product, or REMOVED_SCORE
   */
  compareFaces(
    probe: number,
    dimension: number,
    directory: number,
    count: number,
    scores: number,
    scratch: number,
  ): void;
  /**
   * Like `compareFaces`, with results of sixteen bits.
   * @param similarities - i16 for each: the inner product times `scale` / 2²⁴, rounded, at most ±32767; or
   * REMOVED_SIMILARITY
   * @param scale - a whole number
   * @returns references that were not removed
   */
  resembleFaces(
    probe: number,
    dimension: number,
    directory: number,
    count: number,
    similarities: number,
    scale: number,
    scratch: number,
  ): number;
}

let plainHash: string | undefined;

/**
 * Hash of everything that decides a score: the kernels with their tables, and the finger model. Both builds give the
 * same scores. The hash is always that of the plain build, so that machines with and without relaxed SIMD report one
 * version. Sixteen hexadecimal digits.
 * @throws Error when the kernels are not built
 */
export function kernelHash(): string {
  plainHash ??= createHash('sha256').update(readModule('kernels', 'plain')).digest('hex');
  return createHash('sha256').update(plainHash).update(shippedFingerModel().hash).digest('hex').slice(0, 16);
}

/**
 * Instantiates the kernels over a memory, which writes their tables and the score's weights. Several threads may do
 * this with one shared memory: they write the same bytes.
 * @param memory - shared, of two pages or more; its first KERNEL_STATIC_BYTES belong to the kernels
 * @param model - provides the weights
 * @param build - a particular build, for tests and measurements; it must run here, see `canRun`
 * @throws Error when the kernels are not built, or from other sources than this file
 */
export function instantiateKernels(
  memory: WebAssembly.Memory,
  model: FingerModel = shippedFingerModel(),
  build?: KernelBuild,
): Kernels {
  const { exports } = new WebAssembly.Instance(kernelModule('kernels', build), { env: { memory } });
  expectSize(exports, 'FINGER_SCRATCH_BYTES', FINGER_SCRATCH_BYTES);
  expectSize(exports, 'ENCODE_SCRATCH_BYTES', ENCODE_SCRATCH_BYTES);
  expectSize(exports, 'FACE_SCRATCH_BYTES', FACE_SCRATCH_BYTES);
  expectSize(exports, 'VECTOR_SCRATCH_BYTES', VECTOR_SCRATCH_BYTES);
  expectSize(exports, 'VECTOR_TABLES_BYTES', VECTOR_TABLES_BYTES);
  expectSize(exports, 'FINGER_PACKED_MAX_BYTES', FINGER_PACKED_MAX_BYTES);
  expectSize(exports, 'MINIMUM_MINUTIAE', MINIMUM_MINUTIAE);
  expectSize(exports, 'FINGER_WEIGHTS_ADDRESS', FINGER_WEIGHTS_ADDRESS);
  expectSize(exports, 'EXPLANATION_BYTES', EXPLANATION_BYTES);
  expectSize(exports, 'KNOT_COUNT', KNOT_COUNT);
  new Int32Array(memory.buffer, FINGER_WEIGHTS_ADDRESS, KNOT_COUNT).set(model.weights);
  return exports as unknown as Kernels;
}

/** Kernels of another version would write past the areas that this host reserves. */
function expectSize(exports: WebAssembly.Instance['exports'], name: string, expected: number): void {
  const found = exports[name];
  if (typeof found === 'object' && 'value' in found && found.value === expected) return;
  throw new Error(`The kernels were built from other sources (${name}). Run: npm run build`);
}
