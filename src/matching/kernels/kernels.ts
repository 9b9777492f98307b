/**
 * The host's side of the comparison kernels: where they are, what they need, and how templates get into their form.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationFolder } from '../../installation.ts';
import type { FingerModel } from '../model/finger-model.ts';
import { VECTOR_TABLES_BYTES } from '../model/finger-vector-model.ts';
import { FINGER_PACKED_MAX_BYTES } from '../model/packed-layout.ts';
import { KNOT_COUNT } from '../model/score-terms.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';

export { FINGER_PACKED_MAX_BYTES } from '../model/packed-layout.ts';

/** Bytes at the beginning of every memory that belong to the kernels: their constant tables, and the score's weights. */
export { STATIC_BYTES as KERNEL_STATIC_BYTES } from '../../gallery/segment-layout.ts';
/** Where the weights of the finger score are, in every memory. */
const FINGER_WEIGHTS_ADDRESS = 32_768;
/** Bytes that `explainFingers` writes. */
export const EXPLANATION_BYTES = 1040;
/** Bytes of scratch that `compareFingers` needs, 16-byte aligned. One scratch serves one thread at a time. */
export const FINGER_SCRATCH_BYTES = 37_472;
/** Bytes of scratch that `encodeFinger` needs, 16-byte aligned. */
export const ENCODE_SCRATCH_BYTES = 42_512;
/** Bytes of scratch that `compareFaces` and `resembleFaces` need, 16-byte aligned. */
export const FACE_SCRATCH_BYTES = 4096;
/** What `scanVectors` and `resembleFaces` write for a removed reference: less than any similarity. */
export const REMOVED_SIMILARITY = -32_768;
/** Bytes of scratch that `encodeVector` needs, 16-byte aligned. */
export const VECTOR_SCRATCH_BYTES = 27_840;
/** Score of a reference that was removed: the smallest 32-bit integer. */
export const REMOVED_SCORE = -(2 ** 31);
/** A finger with fewer minutiae cannot be compared. */
export const MINIMUM_MINUTIAE = 5;
/** The highest comparison score of two fingers. */
export const MAX_FINGER_SCORE = 65_535;

/**
 * The kernels over one memory. All arguments are byte addresses or counts. They check nothing: packed fingers have to
 * be what `encodeFinger` made, and areas as large as the constants above say.
 */
export interface Kernels {
  /**
   * Brings the planes of a model into the order in which `encodeFinger` reads them, in their own place; once.
   * @param planes - the model's planes, then their offsets; 16-byte aligned
   * @param scratch - ENCODE_SCRATCH_BYTES, 16-byte aligned
   */
  arrangePlanes(planes: number, scratch: number): void;
  /**
   * @param minutiae - `count` × 8 bytes: i16 x, i16 y (pixels at 500 dpi), u8 angle (256ths), u8 attributes (see
   * packed-layout.ts), u16 unused
   * @param out - room for the packed finger, see packed-layout.ts; 16-byte aligned
   * @param planes - arranged
   * @returns its bytes; 0 for fewer than MINIMUM_MINUTIAE or more than MAX_MINUTIAE
   */
  encodeFinger(minutiae: number, count: number, out: number, planes: number, scratch: number): number;
  /**
   * Makes the candidate vector of a packed finger, see finger-vector-model.ts.
   * @param out - i8 [256], 16-byte aligned
   * @param tables - the vector model's parts one after the other; 16-byte aligned
   */
  encodeVector(packed: number, out: number, tables: number, scratch: number): void;
  /**
   * Inner products of a candidate vector with `count` others, an eighth of each; REMOVED_SIMILARITY where `directory` is 0.
   * @param probe - the vector widened to i16 [256]; 16-byte aligned
   * @param vectors - i8 [count × 256]; 16-byte aligned
   * @param scores - i16 [count]
   */
  scanVectors(probe: number, vectors: number, directory: number, count: number, scores: number): void;
  /**
   * Compares one packed finger with `count` others. The score is the same whichever of the two is the probe.
   * @param directory - u32 for each: its address / 16; 0: removed
   * @param scores - i32 for each: 0 to MAX_FINGER_SCORE, or REMOVED_SCORE
   */
  compareFingers(probe: number, directory: number, count: number, scores: number, scratch: number): void;
  /**
   * Compares two packed fingers and tells what the score comes from, see finger-explanation.ts.
   * @param out - EXPLANATION_BYTES, 8-byte aligned
   */
  explainFingers(probe: number, reference: number, out: number, scratch: number): void;
  /**
   * Compares one packed face with `count` others of the same model.
   * @param dimension - bytes of a packed face, a multiple of 16, at most 2048
   * @param directory - as above
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
   * The same in sixteen bits.
   * @param similarities - i16 for each: the inner product times `scale` / 2²⁴, rounded, at most ±32767; or REMOVED_SIMILARITY
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

/**
 * The same kernels, built twice from one source: with what every engine has, and with relaxed SIMD, which makes faces
 * faster where the engine has it (Node.js 24 does, 20 does not). Both give the same integers: the relaxed build uses
 * only integer operations, and those only where every engine gives the same result.
 */
export type KernelBuild = 'plain' | 'relaxed';

const BUILD_FILES: Readonly<Record<KernelBuild, string>> = {
  plain: 'kernels.wasm',
  relaxed: 'kernels-relaxed.wasm',
};
const modules = new Map<KernelBuild, WebAssembly.Module>();
let preferred: KernelBuild | undefined;
let plainHash: string | undefined;

function readBuild(build: KernelBuild): Buffer<ArrayBuffer> {
  try {
    return readFileSync(join(installationFolder, 'dist/assembly', BUILD_FILES[build]));
  } catch (cause) {
    throw new Error('The kernels are not built. Run: npm run build', { cause });
  }
}

/**
 * @returns whether this engine runs the build
 * @throws Error when it is not built
 */
export function canRun(build: KernelBuild): boolean {
  return WebAssembly.validate(readBuild(build));
}

/**
 * @returns the build that is used when none is asked for: the fastest that this engine runs
 * @throws Error when the kernels are not built
 */
export function preferredBuild(): KernelBuild {
  return (preferred ??= canRun('relaxed') ? 'relaxed' : 'plain');
}

/** A build, compiled once for each thread. */
function moduleOf(build: KernelBuild): WebAssembly.Module {
  let module = modules.get(build);
  if (module === undefined) {
    module = new WebAssembly.Module(readBuild(build));
    modules.set(build, module);
  }
  return module;
}

/**
 * Hash of the kernels with their tables and of the finger model: everything that decides a score. It is taken from the plain
 * build whichever is in use, for both give the same scores: a machine with relaxed SIMD and one without say the same
 * version. Sixteen hexadecimal digits.
 * @throws Error when the kernels are not built
 */
export function kernelHash(): string {
  plainHash ??= createHash('sha256').update(readBuild('plain')).digest('hex');
  return createHash('sha256').update(plainHash).update(shippedFingerModel().hash).digest('hex').slice(0, 16);
}

/**
 * Instantiates the kernels over a memory, which puts their tables and the score's weights in place. Several threads may
 * do so with one shared memory: they write the same bytes.
 * @param memory - shared, of two pages or more; its first KERNEL_STATIC_BYTES belong to the kernels
 * @param model - whose weights to use
 * @param build - one in particular, for tests and measurements; it must run here, see `canRun`
 * @throws Error when the kernels are not built, or from other sources than this file
 */
export function instantiateKernels(
  memory: WebAssembly.Memory,
  model: FingerModel = shippedFingerModel(),
  build: KernelBuild = preferredBuild(),
): Kernels {
  const { exports } = new WebAssembly.Instance(moduleOf(build), { env: { memory } });
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

/** Kernels of another build would write past the areas that this host gives them. */
function expectSize(exports: WebAssembly.Instance['exports'], name: string, expected: number): void {
  const found = exports[name];
  if (typeof found === 'object' && 'value' in found && found.value === expected) return;
  throw new Error(`The kernels were built from other sources (${name}). Run: npm run build`);
}
