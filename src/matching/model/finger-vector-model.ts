/**
 * The model of the candidate vectors. It has its own file: a new vector model leaves the comparison model unchanged.
 * index-builder/train/vectors.ts makes it. Its parts lie in a container, see model-container.ts. Concatenated, they are
 * the tables that the kernel reads. Each is a multiple of 16 bytes:
 *
 *   i32 quality [64]              weight of a minutia by its quality, 1 = 64
 *   i32 ranks [64]                weight of a pair by how many minutiae are nearer to its first than its second, 1 = 256
 *   i16 directions [256 × 1440]   matrix that the roots of the pair histogram are multiplied by, in rows
 *   i32 centre [256]              subtracted from the product
 *   f32 scale [256]               factor of the difference
 *
 * The file has one more part, which does not belong to these tables:
 *
 *   i16 codeBook [128 × 2 × 16]   for each pair of components the first, then the second components of sixteen centroids
 */
import type { ModelDescription } from './finger-model.ts';
import { readContainer, writeContainer } from './model-container.ts';

/** Values, and bytes, of a candidate vector. */
export const VECTOR_SIZE = 256;
/** Cells of the histogram: lengths, and directions of each minutia. */
export const PAIR_LENGTHS = 10;
export const PAIR_TURN_PARTS = 12;
export const PAIR_CELLS = PAIR_LENGTHS * PAIR_TURN_PARTS * PAIR_TURN_PARTS;
/** Length of a histogram's roots, and maximum length of a row of `directions`. */
export const ROOTS_UNIT = 32_767;
export const QUALITIES = 64;
export const RANKS = 64;
/** Pairs of components. Each has one code of four bits. */
export const CODE_PAIRS = VECTOR_SIZE / 2;
/** Centroids of each pair. */
export const CENTROIDS = 16;
/** Units of the code book per unit of a component. */
export const CENTROID_UNIT = 16;
/** Bytes of the codes of one vector. */
export const CODE_BYTES = CODE_PAIRS / 2;
/** Bytes that follow a packed finger: its candidate vector and the vector's codes. */
export const CANDIDATE_BYTES = VECTOR_SIZE + CODE_BYTES;
const CODE_BOOK_BYTES = CODE_PAIRS * CENTROIDS * 2 * 2;
/** 'RWFV'. */
const KIND = { magic: 0x56465752, format: 3, what: 'finger vector model' } as const;
const LENGTHS = [QUALITIES * 4, RANKS * 4, VECTOR_SIZE * PAIR_CELLS * 2, VECTOR_SIZE * 4, VECTOR_SIZE * 4] as const;
/** Bytes of the kernel's tables. */
export const VECTOR_TABLES_BYTES: number = LENGTHS.reduce((sum, length) => sum + length, 0);

/**
 * The two components of a pair. Components are in order of decreasing variance. The first is paired with the last, and
 * so on: all pairs have about the same variance, and no code is wasted.
 */
export function componentsOf(pair: number): readonly [number, number] {
  return [pair, VECTOR_SIZE - 1 - pair];
}

/** The model without its code book. */
export type VectorTables = Omit<VectorModel, 'hash' | 'codeBook'>;

export interface VectorModel {
  readonly description: ModelDescription;
  readonly quality: Int32Array;
  readonly ranks: Int32Array;
  readonly directions: Int16Array;
  readonly centre: Int32Array;
  readonly scale: Float32Array;
  readonly codeBook: Int16Array;
  /** SHA-256 of the whole file, hexadecimal. */
  readonly hash: string;
}

/** The tables' parts, in their order. */
export function vectorTables(model: VectorTables): readonly (Int16Array | Int32Array | Float32Array)[] {
  const { quality, ranks, directions, centre, scale } = model;
  return [quality, ranks, directions, centre, scale];
}

/** @throws RangeError when a part has the wrong size, or sums could exceed thirty-two bits */
export function writeVectorModel(model: Omit<VectorModel, 'hash'>): Uint8Array {
  const parts = [...vectorTables(model), model.codeBook];
  if (parts.some((part, i) => part.byteLength !== [...LENGTHS, CODE_BOOK_BYTES][i]))
    throw new RangeError('a part has the wrong size');
  for (let j = 0; j < VECTOR_SIZE; j++) {
    const row = model.directions.subarray(j * PAIR_CELLS, (j + 1) * PAIR_CELLS);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length * ROOTS_UNIT >= 2 ** 31) throw new RangeError(`direction ${j} could overflow thirty-two bits`);
  }
  return writeContainer(KIND, model.description, parts);
}

/** @throws Error when the file is damaged, or of another format */
export function readVectorModel(file: Uint8Array): VectorModel {
  const { description, parts, hash } = readContainer(KIND, file, [...LENGTHS, CODE_BOOK_BYTES]);
  return {
    description: description as ModelDescription,
    quality: new Int32Array(parts[0]),
    ranks: new Int32Array(parts[1]),
    directions: new Int16Array(parts[2]),
    centre: new Int32Array(parts[3]),
    scale: new Float32Array(parts[4]),
    codeBook: new Int16Array(parts[5]),
    hash,
  };
}
