/**
 * Learns the directions of face codes from the gallery's faces: an orthonormal basis of the subspace with the largest
 * variance, in a random rotation. The rotation gives all directions about the same variance, so that all signs carry
 * about the same information. The subspace is found by subspace iteration (Halko, Martinsson and Tropp, SIAM Review
 * 53(2), 2011).
 *
 * All arithmetic is in doubles, in a fixed order, with fixed random numbers: equal faces give equal directions.
 */
import { Matrix, QrDecomposition } from 'ml-matrix';
import { directionsHash, FACE_DIRECTIONS, type FaceDirections } from './face-codes.ts';

/** Rounds of the iteration. Two are enough: the spectrum beyond the last direction is flat. */
const ROUNDS = 2;
const SEED = 0x5eedface;

/** Whether directions can be learned from this number of faces. */
export function canLearnDirections(dimension: number, faces: number): boolean {
  return dimension >= FACE_DIRECTIONS && faces >= 2 * FACE_DIRECTIONS;
}

/**
 * @param faces - i8 [count × dimension]
 * @throws RangeError unless canLearnDirections
 */
export function learnFaceDirections(faces: Int8Array, dimension: number): FaceDirections {
  const count = faces.length / dimension;
  if (!canLearnDirections(dimension, count)) throw new RangeError('too few faces, or components');
  const mean = meanOf(faces, dimension);
  const random = normals(SEED);
  let basis = randomMatrix(dimension, FACE_DIRECTIONS, random);
  for (let round = 0; round < ROUNDS; round++)
    basis = new QrDecomposition(throughFaces(faces, dimension, mean, basis)).orthogonalMatrix;
  const turn = new QrDecomposition(randomMatrix(FACE_DIRECTIONS, FACE_DIRECTIONS, random)).orthogonalMatrix;
  return quantised(basis.mmul(turn), faces, dimension, mean);
}

function meanOf(faces: Int8Array, dimension: number): Float64Array {
  const mean = new Float64Array(dimension);
  const count = faces.length / dimension;
  for (let i = 0; i < faces.length; i++) mean[i % dimension] += faces[i] / count;
  return mean;
}

/** The covariance of the faces times a matrix, XᵀX · basis, without computing the covariance. */
function throughFaces(faces: Int8Array, dimension: number, mean: Float64Array, basis: Matrix): Matrix {
  const columns = basis.columns;
  // Row-major copies: an element access of the library costs more than the arithmetic.
  const rows = Float64Array.from(basis.to1DArray());
  const sums = new Float64Array(dimension * columns);
  const projected = new Float64Array(columns);
  for (let at = 0; at < faces.length; at += dimension) {
    projected.fill(0);
    for (let i = 0; i < dimension; i++) {
      const value = faces[at + i] - mean[i];
      for (let j = 0, k = i * columns; j < columns; j++, k++) projected[j] += value * rows[k];
    }
    for (let i = 0; i < dimension; i++) {
      const value = faces[at + i] - mean[i];
      for (let j = 0, k = i * columns; j < columns; j++, k++) sums[k] += value * projected[j];
    }
  }
  return Matrix.from1DArray(dimension, columns, sums);
}

/** Directions as bytes, their products with the mean, and the unit of projections. */
function quantised(basis: Matrix, faces: Int8Array, dimension: number, mean: Float64Array): FaceDirections {
  const directions = new SharedArrayBuffer(FACE_DIRECTIONS * dimension);
  const offsets = new SharedArrayBuffer(4 * FACE_DIRECTIONS);
  const [bytes, products] = [new Int8Array(directions), new Int32Array(offsets)];
  let largest = 0;
  for (let j = 0; j < FACE_DIRECTIONS; j++)
    for (let i = 0; i < dimension; i++) largest = Math.max(largest, Math.abs(basis.get(i, j)));
  for (let j = 0; j < FACE_DIRECTIONS; j++) {
    let product = 0;
    for (let i = 0; i < dimension; i++) {
      const value = Math.round((basis.get(i, j) / largest) * 127);
      bytes[j * dimension + i] = value;
      product += value * mean[i];
    }
    products[j] = Math.round(product);
  }
  let sum = 0;
  for (let at = 0; at < faces.length; at += dimension) {
    for (let j = 0; j < FACE_DIRECTIONS; j++) {
      let product = -products[j];
      for (let i = 0; i < dimension; i++) product += bytes[j * dimension + i] * faces[at + i];
      sum += Math.abs(product);
    }
  }
  const unit = sum / (faces.length / dimension);
  const numbers = { dimension, directions, offsets, unit };
  return { ...numbers, hash: directionsHash(numbers) };
}

function randomMatrix(rows: number, columns: number, next: () => number): Matrix {
  return Matrix.from1DArray(
    rows,
    columns,
    Array.from({ length: rows * columns }, () => next()),
  );
}

/**
 * Approximately normal numbers: sums of twelve uniform numbers of a linear congruential generator, exact in doubles.
 */
function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += uniform();
    return sum;
  };
}
