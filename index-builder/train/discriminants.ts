/**
 * Fisher's linear discriminants of many classes in more than a thousand dimensions: the directions with a high total
 * variance compared with the variance within classes (Fukunaga, Introduction to Statistical Pattern Recognition, ch.
 * 10). Subspace iteration finds a few hundred of them without a full eigendecomposition. Matrices are row-major
 * doubles.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { Random } from '../../src/random.ts';

/** Extra directions carried along, and rounds; the spectrum is flat only where it no longer matters. */
const SPARE = 16;
const ROUNDS = 12;

export interface ClassOfRows {
  readonly rows: readonly Float64Array[];
  /** Weight of each of its rows. */
  readonly weight: number;
}

export interface Discriminants {
  readonly mean: Float64Array;
  /** Total variance over variance within classes, largest first. */
  readonly ratios: Float64Array;
  /** As rows; the variance within classes is 1 in each. */
  readonly directions: readonly Float64Array[];
}

/**
 * @param shrinkage - 0 to 1: how far the scatter within classes is shrunk to an isotropic one; a small number of
 * classes cannot determine it fully
 */
export function linearDiscriminants(
  classes: readonly ClassOfRows[],
  count: number,
  shrinkage: number,
  seed: number,
): Discriminants {
  const width = classes[0].rows[0].length;
  const { mean, total, within } = scatters(classes, width);
  let trace = 0;
  for (let i = 0; i < width; i++) trace += within[i * width + i];
  for (let i = 0; i < within.length; i++) within[i] *= 1 - shrinkage;
  for (let i = 0; i < width; i++) within[i * width + i] += (shrinkage * trace) / width;
  const lower = cholesky(within, width);
  // L⁻¹ T L⁻ᵀ: its eigenvectors are the discriminants in coordinates that make the scatter within classes isotropic.
  const half = transpose(solveLower(lower, total, width), width);
  const whitened = solveLower(lower, half, width);
  const { values, vectors } = leadingEigenvectors(whitened, width, count, seed);
  return { mean, ratios: values, directions: vectors.map((vector) => solveUpper(lower, vector)) };
}

/** Scatter of all rows about their mean, and within classes; a class of one row adds nothing to the second. */
function scatters(classes: readonly ClassOfRows[], width: number) {
  const all = classes.flatMap(({ rows, weight }) => rows.map((row) => ({ row, weight })));
  const means = classes.map(({ rows, weight }) => ({ row: meanOf(rows, width), weight: weight * rows.length }));
  const mass = means.reduce((sum, { weight }) => sum + weight, 0);
  const mean = new Float64Array(width);
  for (const { row, weight } of means) for (let i = 0; i < width; i++) mean[i] += (row[i] * weight) / mass;
  const total = sumOfSquares(all, width);
  const within = sumOfSquares(means, width);
  const freedom = classes.reduce((sum, { rows, weight }) => sum + weight * (rows.length - 1), 0);
  if (freedom === 0) throw new Error('no two rows are of one class');
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < width; j++) {
      const at = i * width + j;
      within[at] = (total[at] - within[at]) / freedom;
      total[at] = total[at] / mass - mean[i] * mean[j];
    }
  }
  return { mean, total, within };
}

function meanOf(rows: readonly Float64Array[], width: number): Float64Array {
  const mean = new Float64Array(width);
  for (const row of rows) for (let i = 0; i < width; i++) mean[i] += row[i] / rows.length;
  return mean;
}

/** Σ weight · row · rowᵀ. Four rows at a time: the matrix is many times larger than the caches. */
function sumOfSquares(rows: readonly { readonly row: Float64Array; readonly weight: number }[], width: number) {
  const sum = new Float64Array(width * width);
  const none = { row: new Float64Array(width), weight: 0 };
  for (let at = 0; at < rows.length; at += 4) {
    const [a, b, c, d] = [0, 1, 2, 3].map((k) => rows[at + k] ?? none);
    for (let i = 0; i < width; i++) {
      const factors = [a, b, c, d].map(({ row, weight }) => weight * row[i]);
      if (factors.some((factor) => factor !== 0)) addUpTo(sum, i, width, factors, a.row, b.row, c.row, d.row);
    }
  }
  for (let i = 0; i < width; i++) for (let j = 0; j < i; j++) sum[j * width + i] = sum[i * width + j];
  return sum;
}

/** Adds multiples of four rows to row i of `sum`, up to the diagonal. */
function addUpTo(
  sum: Float64Array,
  i: number,
  width: number,
  [p, q, r, s]: readonly number[],
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  d: Float64Array,
): void {
  const start = i * width;
  for (let j = 0; j <= i; j++) sum[start + j] += p * a[j] + q * b[j] + (r * c[j] + s * d[j]);
}

/** The lower triangle L of A = L Lᵀ, row-major. */
function cholesky(matrix: Float64Array, size: number): readonly Float64Array[] {
  const lower: Float64Array[] = [];
  for (let i = 0; i < size; i++) {
    const row = matrix.slice(i * size, i * size + i + 1);
    for (let j = 0; j < i; j++) row[j] = (row[j] - inner(row, lower[j], j)) / lower[j][j];
    const rest = row[i] - inner(row, row, i);
    if (!(rest > 0)) throw new Error('the scatter within classes is not positive');
    row[i] = Math.sqrt(rest);
    lower.push(row);
  }
  return lower;
}

/** L⁻¹ B. */
function solveLower(lower: readonly Float64Array[], matrix: Float64Array, size: number): Float64Array {
  const rows = Array.from({ length: size }, (_, i) => matrix.slice(i * size, (i + 1) * size));
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) add(rows[i], rows[k], -lower[i][k]);
    for (let c = 0; c < size; c++) rows[i][c] /= lower[i][i];
  }
  return join(rows, size);
}

/** L⁻ᵀ b. */
function solveUpper(lower: readonly Float64Array[], vector: Float64Array): Float64Array {
  const solution = Float64Array.from(vector);
  for (let i = solution.length - 1; i >= 0; i--) {
    solution[i] /= lower[i][i];
    for (let k = 0; k < i; k++) solution[k] -= lower[i][k] * solution[i];
  }
  return solution;
}

function transpose(matrix: Float64Array, size: number): Float64Array {
  const result = new Float64Array(matrix.length);
  for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) result[j * size + i] = matrix[i * size + j];
  return result;
}

function join(rows: readonly Float64Array[], size: number): Float64Array {
  const result = new Float64Array(rows.length * size);
  rows.forEach((row, i) => result.set(row, i * size));
  return result;
}

/** Leading eigenvectors of a symmetric matrix. */
function leadingEigenvectors(matrix: Float64Array, size: number, count: number, seed: number) {
  const rows = Array.from({ length: size }, (_, i) => matrix.subarray(i * size, (i + 1) * size));
  const apply = (vector: Float64Array) => Float64Array.from(rows, (row) => inner(row, vector, size));
  const random = new Random(seed, 3);
  let block = Array.from({ length: Math.min(size, count + SPARE) }, () =>
    Float64Array.from({ length: size }, () => random.normal()),
  );
  for (let round = 0; round < ROUNDS; round++) {
    orthonormalise(block);
    block = block.map(apply);
  }
  orthonormalise(block);
  const image = block.map(apply);
  const small = new Matrix(block.map((a) => image.map((b) => inner(a, b, size))));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(small, { assumeSymmetric: true });
  const order = realEigenvalues
    .map((value, k) => ({ value, k }))
    .sort((a, b) => b.value - a.value)
    .slice(0, count);
  const vectors = order.map(({ k }) => {
    const sum = new Float64Array(size);
    block.forEach((direction, b) => add(sum, direction, eigenvectorMatrix.get(b, k)));
    return sum;
  });
  return { values: Float64Array.from(order, ({ value }) => value), vectors };
}

function orthonormalise(block: readonly Float64Array[]): void {
  block.forEach((vector, k) => {
    for (let round = 0; round < 2; round++) {
      for (let j = 0; j < k; j++) add(vector, block[j], -inner(block[j], vector, vector.length));
    }
    const length = Math.sqrt(inner(vector, vector, vector.length));
    for (let i = 0; i < vector.length; i++) vector[i] /= length;
  });
}

/** Inner product of the first `length` values. Four sums: a single one would stall on every addition. */
function inner(a: Float64Array, b: Float64Array, length: number): number {
  let [p, q, r, s] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < length; i += 4) {
    p += a[i] * b[i];
    q += a[i + 1] * b[i + 1];
    r += a[i + 2] * b[i + 2];
    s += a[i + 3] * b[i + 3];
  }
  for (; i < length; i++) p += a[i] * b[i];
  return p + q + (r + s);
}

function add(sum: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += factor * vector[i];
}
