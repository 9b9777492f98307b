/**
 * Prescreening similarity: it decides which references are compared. It is a sixteen-bit integer, about
 * SIMILARITY_OF_ONE times the cosine of two candidate vectors or of two embeddings. For both kinds, non-mated
 * similarities have mean 0 and a deviation of about SIMILARITY_OF_ONE / 16, so the two can be summed.
 */
import { CANDIDATE_BYTES, VECTOR_SIZE } from '../model/finger-vector-model.ts';

/** An eighth of the square of a candidate vector's length, (127 · 16 / 4.5)² / 8. */
export const SIMILARITY_OF_ONE = 25_484;
/** Mean of non-mated similarities with negatives as 0: their deviation of 1,800, divided by √(2π). */
export const MEAN_ABOVE_ZERO = 718;

/**
 * A packed finger followed by its candidate vector and the vector's codes: the form of stored references and of probes
 * in messages.
 */
export function withCandidateBytes(packed: Uint8Array, vector: Int8Array, codes: Uint8Array): Uint8Array {
  const all = new Uint8Array(packed.byteLength + CANDIDATE_BYTES);
  all.set(packed);
  all.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), packed.byteLength);
  all.set(codes, packed.byteLength + VECTOR_SIZE);
  return all;
}

/** The candidate vector that follows a packed finger. */
export function vectorOf({ buffer, byteOffset, byteLength }: Uint8Array): Int8Array {
  return new Int8Array(buffer, byteOffset + byteLength - CANDIDATE_BYTES, VECTOR_SIZE);
}

/** The score of two identical faces: a unit vector is stored as x · 127 · √d / 4.5, and the score is its square. */
export function scoreOfCosineOne(dimension: number): number {
  return (127 * 127 * dimension) / (4.5 * 4.5);
}

/**
 * Factor from the comparison score of two faces to their similarity, times 2²⁴ and rounded. Embeddings have length 127
 * · √dimension / 4.5.
 */
export function faceScale(dimension: number): number {
  return Math.round((SIMILARITY_OF_ONE / scoreOfCosineOne(dimension)) * 2 ** 24);
}
