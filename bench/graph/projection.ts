/** Input of a graph: whole vectors as they are, or their principal directions. */
import { EigenvalueDecomposition } from 'ml-matrix';
import { meanProducts } from './moments.ts';

/** Rows that principal directions are learned from. */
const LEARNED_FROM = 10_000;

/** Plain data: it is sent to a thread. */
export interface Projection {
  /** Components of a vector. */
  readonly dimension: number;
  /** Components after the projection. */
  readonly size: number;
  /** `size` rows of `dimension`; undefined: all components as they are. */
  readonly directions: Float64Array | undefined;
  /** Components of the mean after the projection. */
  readonly mean: Float64Array;
  /** Share of the variance that the directions hold. */
  readonly variance: number;
}

/** All components: the inner products are those of the scan. */
export function wholeVectors(dimension: number): Projection {
  return { dimension, size: dimension, directions: undefined, mean: new Float64Array(dimension), variance: 1 };
}

/** The mean, and the `size` directions with the most variance, descending. */
export function principalDirections(references: Int8Array, dimension: number, size: number): Projection {
  const rows = references.length / dimension;
  const step = Math.max(1, Math.floor(rows / LEARNED_FROM));
  const sample = Array.from({ length: Math.min(rows, LEARNED_FROM) }, (_, i) =>
    references.subarray(i * step * dimension, (i * step + 1) * dimension),
  );
  const centre = new Float64Array(dimension);
  for (const row of sample) for (let k = 0; k < dimension; k++) centre[k] += row[k] / sample.length;
  const moments = meanProducts(sample, centre);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(moments, { assumeSymmetric: true });
  const order = realEigenvalues.map((value, k) => ({ value, k })).sort((a, b) => b.value - a.value);
  const directions = new Float64Array(size * dimension);
  order.slice(0, size).forEach(({ k }, row) => directions.set(eigenvectorMatrix.getColumn(k), row * dimension));
  const held = order.slice(0, size).reduce((sum, { value }) => sum + value, 0);
  const variance = held / order.reduce((sum, { value }) => sum + value, 0);
  return { dimension, size, directions, mean: Float64Array.from(products(directions, dimension, centre)), variance };
}

/** @returns `size` components: of length 1, without the mean if projected */
export function project({ dimension, directions, mean }: Projection, vector: Int8Array): number[] {
  const moved =
    directions === undefined
      ? Array.from(vector)
      : products(directions, dimension, vector).map((value, row) => value - mean[row]);
  const length = Math.hypot(...moved);
  return length === 0 ? moved : moved.map((value) => value / length);
}

function products(directions: Float64Array, dimension: number, vector: ArrayLike<number>): number[] {
  const projected = new Array<number>(directions.length / dimension);
  for (let row = 0, at = 0; row < projected.length; row++, at += dimension) {
    let sum = 0;
    for (let k = 0; k < dimension; k++) sum += directions[at + k] * vector[k];
    projected[row] = sum;
  }
  return projected;
}
