/**
 * The host's side of the comparison kernels: where they are, what they need, and how templates get into their form.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationFolder } from '../installation.ts';
import type { FaceTemplate } from '../templates/face-template.ts';
import { MAX_MINUTIAE, type FingerTemplate } from '../templates/finger-template.ts';
import { FINGER_PACKED_MAX_BYTES, packedOffsets } from './packed-layout.ts';

export { FINGER_PACKED_MAX_BYTES } from './packed-layout.ts';

/** Bytes at the beginning of every memory that belong to the kernels: their constant tables. */
export const KERNEL_STATIC_BYTES = 65_536;
/** Bytes of scratch that `compareFingers` needs, 16-byte aligned. One scratch serves one thread at a time. */
export const FINGER_SCRATCH_BYTES = 57_984;
/** Bytes of scratch that `encodeFinger` needs, 16-byte aligned. */
export const ENCODE_SCRATCH_BYTES = 6400;
/** Score of a reference that was removed: the smallest 32-bit integer. */
export const REMOVED_SCORE = -(2 ** 31);
/** A finger with fewer minutiae cannot be compared. */
export const MINIMUM_MINUTIAE = 5;
/** The highest comparison score of two fingers. */
export const LARGEST_FINGER_SCORE = 65_535;

/**
 * The kernels over one memory. All arguments are byte addresses or counts. They check nothing: packed fingers have to
 * be what `encodeFinger` made, and areas as large as the constants above say.
 */
export interface Kernels {
  /**
   * @param minutiae - `count` × 8 bytes: i16 x, i16 y (pixels at 500 dpi), u8 angle (256ths), u8 type, u16 unused
   * @param out - room for the packed finger, see packed-layout.ts; 16-byte aligned
   * @returns its bytes; 0 for fewer than MINIMUM_MINUTIAE or more than MAX_MINUTIAE
   */
  encodeFinger(minutiae: number, count: number, out: number, scratch: number): number;
  /**
   * Compares one packed finger with `count` others. Not symmetric: the probe comes first.
   * @param directory - u32 for each: its address / 16; 0: removed
   * @param scores - i32 for each: 0 to LARGEST_FINGER_SCORE, or REMOVED_SCORE
   */
  compareFingers(probe: number, directory: number, count: number, scores: number, scratch: number): void;
  /**
   * Compares one packed face with `count` others of the same model.
   * @param dimension - bytes of a packed face, a multiple of 16
   * @param directory - as above
   * @param scores - i32 for each: the inner product, or REMOVED_SCORE
   */
  compareFaces(probe: number, dimension: number, directory: number, count: number, scores: number): void;
}

interface Build {
  readonly module: WebAssembly.Module;
  readonly hash: string;
}

let build: Build | undefined;

/** The kernels' file, compiled once for each thread. */
function loadBuild(): Build {
  if (build !== undefined) return build;
  const file = join(installationFolder, 'dist/assembly/kernels.wasm');
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new Error('The kernels are not built. Run: npm run build', { cause });
  }
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  build = { module: new WebAssembly.Module(bytes), hash };
  return build;
}

/**
 * Hash of the kernels with their tables: everything that decides a score. Sixteen hexadecimal digits.
 * @throws Error when the kernels are not built
 */
export function kernelHash(): string {
  return loadBuild().hash;
}

/**
 * Instantiates the kernels over a memory, which puts their tables in place. Several threads may do so with one shared
 * memory: they write the same bytes.
 * @param memory - shared, of two pages or more; its first KERNEL_STATIC_BYTES belong to the kernels
 * @throws Error when the kernels are not built, or from other sources than this file
 */
export function instantiateKernels(memory: WebAssembly.Memory): Kernels {
  const { exports } = new WebAssembly.Instance(loadBuild().module, { env: { memory } });
  expectSize(exports, 'FINGER_SCRATCH_BYTES', FINGER_SCRATCH_BYTES);
  expectSize(exports, 'ENCODE_SCRATCH_BYTES', ENCODE_SCRATCH_BYTES);
  expectSize(exports, 'FINGER_PACKED_MAX_BYTES', FINGER_PACKED_MAX_BYTES);
  expectSize(exports, 'MINIMUM_MINUTIAE', MINIMUM_MINUTIAE);
  return exports as unknown as Kernels;
}

/** Kernels of another build would write past the areas that this host gives them. */
function expectSize(exports: WebAssembly.Instance['exports'], name: string, expected: number): void {
  const found = exports[name];
  if (typeof found === 'object' && 'value' in found && found.value === expected) return;
  throw new Error(`The kernels were built from other sources (${name}). Run: npm run build`);
}

/** @returns how many minutiae a packed finger has */
export function minutiaCount(packed: Uint8Array): number {
  const count = packed[0];
  if (count === undefined) throw new RangeError('a packed finger has at least a header');
  return count;
}

/** Brings face templates into the kernels' form: the values, and zeros up to a multiple of 16 bytes. */
export class FaceKernel {
  /** @returns bytes of a packed face, which is what `compareFaces` takes for its dimension */
  static packedBytes(dimension: number): number {
    return Math.ceil(dimension / 16) * 16;
  }

  static pack({ values }: FaceTemplate): Uint8Array {
    const packed = new Uint8Array(FaceKernel.packedBytes(values.length));
    new Int8Array(packed.buffer).set(values);
    return packed;
  }
}

const MINUTIA_BYTES = 8;
const INPUT = KERNEL_STATIC_BYTES;
const OUTPUT = INPUT + MAX_MINUTIAE * MINUTIA_BYTES;
const SCRATCH = OUTPUT + FINGER_PACKED_MAX_BYTES;
const ENCODER_PAGES = Math.ceil((SCRATCH + ENCODE_SCRATCH_BYTES) / 65_536);
/** Coordinates are kept in sixteen bits, from the lower left corner of the print. */
const LARGEST_COORDINATE = 32_767;

/** Brings finger templates into the kernels' form, in a small memory of its own. */
export class FingerEncoder {
  readonly #memory = new WebAssembly.Memory({ initial: ENCODER_PAGES, maximum: ENCODER_PAGES, shared: true });
  readonly #kernels = instantiateKernels(this.#memory);

  /**
   * @returns the packed finger; undefined when the template has fewer than MINIMUM_MINUTIAE minutiae
   * @throws RangeError when it spreads over more pixels than coordinates can tell, which decoding excludes
   */
  encode(template: FingerTemplate): Uint8Array | undefined {
    const { minutiae } = template;
    if (minutiae.length < MINIMUM_MINUTIAE) return undefined;
    const view = new DataView(this.#memory.buffer, INPUT, MAX_MINUTIAE * MINUTIA_BYTES);
    const { x: originX, y: originY } = originOf(template);
    minutiae.forEach(({ x, y, angle, type }, i) => {
      view.setInt16(i * MINUTIA_BYTES, relative(x, originX), true);
      view.setInt16(i * MINUTIA_BYTES + 2, relative(y, originY), true);
      view.setUint8(i * MINUTIA_BYTES + 4, angle);
      view.setUint8(i * MINUTIA_BYTES + 5, type);
    });
    const length = this.#kernels.encodeFinger(INPUT, minutiae.length, OUTPUT, SCRATCH);
    if (length !== packedOffsets(minutiae.length).length) throw new RangeError('the template has too many minutiae');
    return Uint8Array.from(new Uint8Array(this.#memory.buffer, OUTPUT, length));
  }
}

/** The lower left corner of the minutiae: coordinates count from there. */
export function originOf({ minutiae }: FingerTemplate): { readonly x: number; readonly y: number } {
  return { x: Math.min(...minutiae.map(({ x }) => x)), y: Math.min(...minutiae.map(({ y }) => y)) };
}

function relative(coordinate: number, origin: number): number {
  const value = coordinate - origin;
  if (value > LARGEST_COORDINATE) throw new RangeError('the template is larger than a hand');
  return value;
}
