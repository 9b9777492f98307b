/** Principal directions by subspace iteration: a few hundred of thousands, without a full eigendecomposition. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { Random } from '../../fixtures/random.ts';

/** Directions that are carried along besides, and rounds; the spectrum is flat only where it no longer matters. */
const SPARE = 16;
const ROUNDS = 3;

export interface Principal {
  readonly mean: Float64Array;
  /** The largest variance first. */
  readonly variances: Float64Array;
  /** Orthonormal rows. */
  readonly directions: readonly Float64Array[];
}

/** @param rows - as many as there are, all of one length */
export function principalDirections(rows: readonly Int16Array[], count: number, seed: number): Principal {
  const width = rows[0].length;
  const mean = new Float64Array(width);
  for (const row of rows) for (let i = 0; i < width; i++) mean[i] += row[i] / rows.length;
  const centred = rows.map((row) => Float64Array.from(row, (value, i) => value - mean[i]));
  const random = new Random(seed, 3);
  let block = Array.from({ length: count + SPARE }, () => Float64Array.from({ length: width }, () => random.normal()));
  for (let round = 0; round < ROUNDS; round++) {
    orthonormalise(block);
    block = applyScatter(centred, block);
  }
  orthonormalise(block);
  const image = applyScatter(centred, block);
  const small = new Matrix(block.map((a) => image.map((b) => inner(a, b))));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(small, { assumeSymmetric: true });
  const order = realEigenvalues
    .map((value, k) => ({ value, k }))
    .sort((a, b) => b.value - a.value)
    .slice(0, count);
  const directions = order.map(({ k }) => {
    const sum = new Float64Array(width);
    block.forEach((direction, b) => add(sum, direction, eigenvectorMatrix.get(b, k)));
    return sum;
  });
  return { mean, variances: Float64Array.from(order, ({ value }) => value / rows.length), directions };
}

/** Four rows at a time: the block is many times larger than the caches, and is read from memory for each group of rows. */
function applyScatter(rows: readonly Float64Array[], block: readonly Float64Array[]): Float64Array<ArrayBuffer>[] {
  const result = block.map(({ length }) => new Float64Array(length));
  const none = new Float64Array(block[0].length);
  for (let at = 0; at < rows.length; at += 4) {
    const group = [0, 1, 2, 3].map((k) => rows[at + k] ?? none);
    block.forEach((direction, b) => addProducts(result[b], direction, group[0], group[1], group[2], group[3]));
  }
  return result;
}

/** Adds four rows to `sum`, each as often as its inner product with `direction` says. */
function addProducts(
  sum: Float64Array,
  direction: Float64Array,
  a: Float64Array,
  b: Float64Array,
  c: Float64Array,
  d: Float64Array,
): void {
  let [p, q, r, s] = [0, 0, 0, 0];
  for (let i = 0; i < direction.length; i++) {
    const value = direction[i];
    p += value * a[i];
    q += value * b[i];
    r += value * c[i];
    s += value * d[i];
  }
  for (let i = 0; i < sum.length; i++) sum[i] += p * a[i] + q * b[i] + (r * c[i] + s * d[i]);
}

function orthonormalise(block: readonly Float64Array[]): void {
  block.forEach((vector, k) => {
    for (let round = 0; round < 2; round++) for (let j = 0; j < k; j++) add(vector, block[j], -inner(block[j], vector));
    const length = Math.sqrt(inner(vector, vector));
    for (let i = 0; i < vector.length; i++) vector[i] /= length;
  });
}

function inner(a: Float64Array, b: Float64Array): number {
  let [p, q, r, s] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i += 4) {
    p += a[i] * b[i];
    q += a[i + 1] * b[i + 1];
    r += a[i + 2] * b[i + 2];
    s += a[i + 3] * b[i + 3];
  }
  return p + q + (r + s);
}

function add(sum: Float64Array, vector: Float64Array, factor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] += factor * vector[i];
}
