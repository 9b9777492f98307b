/**
 * The model of the candidate vectors, a file of its own so that the comparison's model stays what it is.
 * index-builder/train/vectors.ts makes it. Its parts, in a container as model-container.ts describes, are also, one
 * after the other, the tables that the kernel reads; each is a multiple of 16 bytes:
 *
 *   i16 projection [48 × 384], i32 means [48]     z[e] = Σ projection[e][i] · root[i] − means[e]
 *   i16 words [64 × 48], i32 squares [64]         the codebook, 1 = VECTOR_UNIT, and squared lengths
 *   i32 exponential [1024]                        share of a word that is i / 1024 farther (in squares) than the nearest
 *   i32 quality [64]                              weight of a minutia by its quality, 1 = 64
 *   i16 directions [256 × 3072], i32 centre [256], f32 scale [256]
 *                                                 principal directions, and what each is scaled by
 */
import { CYLINDER_SIZE, LARGEST_ROOT, type ModelDescription } from './finger-model.ts';
import { readContainer, writeContainer } from './model-container.ts';

/** Values, and bytes, of a candidate vector. */
export const VECTOR_SIZE = 256;
export const VECTOR_DIRECTIONS = 48;
export const VECTOR_WORDS = 64;
export const VECTOR_AGGREGATE = VECTOR_WORDS * VECTOR_DIRECTIONS;
export const VECTOR_UNIT = 16_384;
export const EXPONENTIAL_SIZE = 1024;
const QUALITIES = 64;
/** 'RWFV'. */
const KIND = { magic: 0x56465752, format: 1, what: 'finger vector model' } as const;
const LENGTHS = [
  VECTOR_DIRECTIONS * CYLINDER_SIZE * 2,
  VECTOR_DIRECTIONS * 4,
  VECTOR_AGGREGATE * 2,
  VECTOR_WORDS * 4,
  EXPONENTIAL_SIZE * 4,
  QUALITIES * 4,
  VECTOR_SIZE * VECTOR_AGGREGATE * 2,
  VECTOR_SIZE * 4,
  VECTOR_SIZE * 4,
] as const;
/** Bytes of the kernel's tables. */
export const VECTOR_TABLES_BYTES: number = LENGTHS.reduce((sum, length) => sum + length, 0);

export interface VectorModel {
  readonly description: ModelDescription;
  readonly projection: Int16Array;
  readonly means: Int32Array;
  readonly words: Int16Array;
  readonly squares: Int32Array;
  readonly exponential: Int32Array;
  readonly quality: Int32Array;
  readonly directions: Int16Array;
  readonly centre: Int32Array;
  readonly scale: Float32Array;
  /** SHA-256 of the whole, hexadecimal. */
  readonly hash: string;
}

/** The parts in the order of the file and of the tables. */
export function vectorTables(model: Omit<VectorModel, 'hash'>): readonly (Int16Array | Int32Array | Float32Array)[] {
  const { projection, means, words, squares, exponential, quality, directions, centre, scale } = model;
  return [projection, means, words, squares, exponential, quality, directions, centre, scale];
}

/** @throws RangeError when a part has the wrong size, or sums could leave thirty-two bits */
export function writeVectorModel(model: Omit<VectorModel, 'hash'>): Uint8Array {
  const parts = vectorTables(model);
  if (parts.some((part, i) => part.byteLength !== LENGTHS[i])) throw new RangeError('a part has the wrong size');
  for (let e = 0; e < VECTOR_DIRECTIONS; e++) {
    const row = model.projection.subarray(e * CYLINDER_SIZE, (e + 1) * CYLINDER_SIZE);
    const most = row.reduce((sum, value) => sum + Math.abs(value), 0) * LARGEST_ROOT;
    if (most + Math.abs(model.means[e]) >= 2 ** 31) throw new RangeError(`direction ${e} could leave thirty-two bits`);
  }
  return writeContainer(KIND, model.description, parts);
}

/** @throws Error when the file is damaged, or of another format than this program's */
export function readVectorModel(file: Uint8Array): VectorModel {
  const { description, parts, hash } = readContainer(KIND, file, LENGTHS);
  return {
    description: description as ModelDescription,
    projection: new Int16Array(parts[0]),
    means: new Int32Array(parts[1]),
    words: new Int16Array(parts[2]),
    squares: new Int32Array(parts[3]),
    exponential: new Int32Array(parts[4]),
    quality: new Int32Array(parts[5]),
    directions: new Int16Array(parts[6]),
    centre: new Int32Array(parts[7]),
    scale: new Float32Array(parts[8]),
    hash,
  };
}
