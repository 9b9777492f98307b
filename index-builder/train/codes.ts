/**
 * Trains the planes of the minutia codes.
 *
 * Cylinders of one minutia in two impressions should fall on the same sides of the planes, those of different minutiae
 * on different sides. The chosen directions therefore have a high total variance compared with the variance between
 * mates (Fisher's linear discriminants), weighted by how well each separates minutiae. The planes are a tight frame in
 * the space of these directions, rotated to minimise the loss of the codes: iterative quantisation, Gong, Lazebnik,
 * Gordo, Perronnin, IEEE TPAMI 35(12), 2013.
 */
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { Random } from '../../src/random.ts';
import { CODE_BITS, CYLINDER_SIZE } from '../../src/matching/model/finger-model.ts';
import type { Cylinders } from './cylinders.ts';

/** Directions kept. */
const DIRECTIONS = 64;
/** Added to the scatter of mates, as a share of its mean. */
const REGULARISATION = 0.05;
/** Rounds of quantisation, and the number of cylinders used in it. */
const ROUNDS = 30;
const QUANTISED = 6000;
/** Largest number in a plane. */
const LARGEST = 1023;

export interface Planes {
  readonly planes: Int16Array;
  readonly offsets: Int32Array;
}

/** Random planes through the mean, for the start, before any mates are known. */
export function randomPlanes(cylinders: Cylinders, rows: Int32Array, seed: number): Planes {
  const random = new Random(seed, 1);
  const directions = new Matrix(cylinders.places.length, CODE_BITS);
  fill(directions, () => random.normal());
  return quantise(cylinders, meanOf(cylinders, rows), directions);
}

/**
 * @param rows - cylinders for training
 * @param mates - pairs of cylinders of one minutia, two row numbers each
 */
export function learnPlanes(cylinders: Cylinders, rows: Int32Array, mates: Int32Array, seed: number): Planes {
  const { mean, projection } = learnProjection(cylinders, rows, mates);
  return quantise(cylinders, mean, projection.mmul(frame(cylinders, rows, mean, projection, seed)));
}

/** The discriminants, one per column, best first, and the mean of the cylinders; for the places in use. */
export function learnProjection(
  cylinders: Cylinders,
  rows: Int32Array,
  mates: Int32Array,
): { readonly mean: Float64Array; readonly projection: Matrix } {
  const mean = meanOf(cylinders, rows);
  const total = scatter(cylinders, rows.length, (i, out) => copy(cylinders, rows[i], out));
  const centre = Matrix.columnVector(Array.from(mean));
  total.sub(centre.mmul(centre.transpose()));
  const within = scatter(cylinders, mates.length / 2, (i, out) =>
    between(cylinders, mates[2 * i], mates[2 * i + 1], out),
  );
  within.mul(0.5);
  const size = cylinders.places.length;
  const ridge = (REGULARISATION * within.trace()) / size;
  for (let i = 0; i < size; i++) within.set(i, i, within.get(i, i) + ridge);
  return { mean, projection: discriminants(total, within) };
}

/** Generalised eigenvectors of total against within, largest first, scaled by how well they separate. */
function discriminants(total: Matrix, within: Matrix): Matrix {
  const lower = new CholeskyDecomposition(within).lowerTriangularMatrix;
  const half = solveLower(lower, total);
  const whitened = solveLower(lower, half.transpose());
  // Rounding makes it slightly asymmetric.
  const symmetric = Matrix.add(whitened, whitened.transpose()).mul(0.5);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(symmetric, { assumeSymmetric: true });
  const order = realEigenvalues.map((value, k) => ({ value, k })).sort((a, b) => b.value - a.value);
  const chosen = new Matrix(total.rows, DIRECTIONS);
  order.slice(0, DIRECTIONS).forEach(({ value, k }, column) => {
    const scale = Math.sqrt(Math.max(value - 1, 0.05) / value) / value ** 0.25;
    for (let i = 0; i < total.rows; i++) chosen.set(i, column, eigenvectorMatrix.get(i, k) * scale);
  });
  return solveUpper(lower, chosen);
}

/** L⁻¹ B. */
function solveLower(lower: Matrix, b: Matrix): Matrix {
  const x = b.clone();
  for (let i = 0; i < lower.rows; i++) {
    for (let k = 0; k < i; k++) subtractRow(x, i, lower.get(i, k), k);
    divideRow(x, i, lower.get(i, i));
  }
  return x;
}

/** L⁻ᵀ B. */
function solveUpper(lower: Matrix, b: Matrix): Matrix {
  const x = b.clone();
  for (let i = lower.rows - 1; i >= 0; i--) {
    for (let k = i + 1; k < lower.rows; k++) subtractRow(x, i, lower.get(k, i), k);
    divideRow(x, i, lower.get(i, i));
  }
  return x;
}

function subtractRow(x: Matrix, row: number, factor: number, other: number): void {
  for (let c = 0; c < x.columns; c++) x.set(row, c, x.get(row, c) - factor * x.get(other, c));
}

function divideRow(x: Matrix, row: number, by: number): void {
  for (let c = 0; c < x.columns; c++) x.set(row, c, x.get(row, c) / by);
}

/** A tight frame of CODE_BITS directions, rotated towards the signs of the cylinders' projections. */
function frame(cylinders: Cylinders, rows: Int32Array, mean: Float64Array, projection: Matrix, seed: number): Matrix {
  const random = new Random(seed, 2);
  const start = new Matrix(DIRECTIONS, CODE_BITS);
  fill(start, () => random.normal());
  let directions = orthonormalRows(start);
  const step = Math.max(1, Math.floor(rows.length / QUANTISED));
  const sample = Array.from({ length: Math.floor(rows.length / step) }, (_, i) => rows[i * step]);
  const centred = new Matrix(sample.length, mean.length);
  sample.forEach((row, r) => {
    for (let k = 0; k < mean.length; k++) centred.set(r, k, cylinders.rows[row * mean.length + k] - mean[k]);
  });
  const projected = centred.mmul(projection);
  for (let r = 0; r < projected.rows; r++) {
    const length = Math.sqrt(projected.getRow(r).reduce((sum, value) => sum + value * value, 0));
    if (length > 0) projected.mulRow(r, 1 / length);
  }
  const transposed = projected.transpose();
  for (let round = 0; round < ROUNDS; round++) {
    const signs = projected.mmul(directions);
    fill(signs, (value) => (value > 0 ? 1 : -1));
    directions = orthonormalRows(transposed.mmul(signs));
  }
  return directions;
}

/** The nearest matrix with orthonormal rows: (M Mᵀ)^−½ M. */
function orthonormalRows(m: Matrix): Matrix {
  const { realEigenvalues, eigenvectorMatrix: v } = new EigenvalueDecomposition(m.mmul(m.transpose()), {
    assumeSymmetric: true,
  });
  const scaled = v.clone();
  for (let c = 0; c < scaled.columns; c++) {
    for (let r = 0; r < scaled.rows; r++) scaled.set(r, c, v.get(r, c) / Math.sqrt(realEigenvalues[c]));
  }
  return scaled.mmul(v.transpose()).mmul(m);
}

/** Whole numbers, each plane scaled as far as LARGEST allows, with the offsets that place it through the mean. */
function quantise({ places }: Cylinders, mean: Float64Array, directions: Matrix): Planes {
  const planes = new Int16Array(CODE_BITS * CYLINDER_SIZE);
  const offsets = new Int32Array(CODE_BITS);
  for (let bit = 0; bit < CODE_BITS; bit++) {
    const column = directions.getColumn(bit);
    const scale = LARGEST / Math.max(...column.map(Math.abs));
    let offset = 0;
    column.forEach((value, k) => {
      const whole = Math.round(value * scale);
      planes[bit * CYLINDER_SIZE + places[k]] = whole;
      offset += whole * mean[k];
    });
    offsets[bit] = Math.floor(offset);
  }
  return { planes, offsets };
}

function fill(matrix: Matrix, make: (value: number) => number): void {
  for (let r = 0; r < matrix.rows; r++) {
    for (let c = 0; c < matrix.columns; c++) matrix.set(r, c, make(matrix.get(r, c)));
  }
}

function meanOf({ places, rows: values }: Cylinders, rows: Int32Array): Float64Array {
  const mean = new Float64Array(places.length);
  for (const row of rows) for (let k = 0; k < mean.length; k++) mean[k] += values[row * mean.length + k];
  return mean.map((sum) => sum / rows.length);
}

function copy({ rows }: Cylinders, row: number, out: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k] = rows[row * out.length + k];
}

function between({ rows }: Cylinders, a: number, b: number, out: Float64Array): void {
  for (let k = 0; k < out.length; k++) out[k] = rows[a * out.length + k] - rows[b * out.length + k];
}

/** Mean of the outer products of vectors with themselves. Most values are zeros, which are skipped. */
function scatter({ places }: Cylinders, count: number, read: (i: number, out: Float64Array) => void): Matrix {
  const size = places.length;
  const sums = new Float64Array(size * size);
  const vector = new Float64Array(size);
  const filled = new Int32Array(size);
  for (let i = 0; i < count; i++) {
    read(i, vector);
    let length = 0;
    for (let k = 0; k < size; k++) if (vector[k] !== 0) filled[length++] = k;
    for (let a = 0; a < length; a++) {
      const value = vector[filled[a]];
      const row = filled[a] * size;
      for (let b = a; b < length; b++) sums[row + filled[b]] += value * vector[filled[b]];
    }
  }
  const matrix = new Matrix(size, size);
  for (let r = 0; r < size; r++) {
    for (let c = r; c < size; c++) {
      matrix.set(r, c, sums[r * size + c] / count);
      matrix.set(c, r, sums[r * size + c] / count);
    }
  }
  return matrix;
}
