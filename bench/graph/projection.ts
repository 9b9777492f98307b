/** Input of a graph: all components of a face, or its principal directions. */
import { EigenvalueDecomposition } from 'ml-matrix';
import { scoreOfCosineOne } from '../../src/matching/kernels/similarity.ts';
import { meanProducts } from './moments.ts';
import type { FaceSet } from './face-set.ts';

/** Rows that principal directions are learned from. */
const LEARNED_FROM = 10_000;

/** Plain data: it is sent to a thread. */
export interface Projection {
  /** Components of a face. */
  readonly dimension: number;
  /** Components after the projection. */
  readonly size: number;
  /** `size` rows of `dimension`; undefined: all components as they are. */
  readonly directions: Float64Array | undefined;
}

/** All components: the inner products are those of the scan. */
export function wholeFaces(dimension: number): Projection {
  return { dimension, size: dimension, directions: undefined };
}

/** The `size` directions with the most of the faces' squared length, descending. */
export function principalDirections({ dimension, references }: FaceSet, size: number): Projection {
  const rows = references.length / dimension;
  const step = Math.max(1, Math.floor(rows / LEARNED_FROM));
  const sample = Array.from({ length: Math.min(rows, LEARNED_FROM) }, (_, i) =>
    references.subarray(i * step * dimension, (i * step + 1) * dimension),
  );
  const moments = meanProducts(sample, new Float64Array(dimension));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(moments, { assumeSymmetric: true });
  const order = realEigenvalues.map((value, k) => ({ value, k })).sort((a, b) => b.value - a.value);
  const directions = new Float64Array(size * dimension);
  order.slice(0, size).forEach(({ k }, row) => directions.set(eigenvectorMatrix.getColumn(k), row * dimension));
  return { dimension, size, directions };
}

/** @returns `size` components: of length 1 if projected, else of length about 1 */
export function project({ dimension, size, directions }: Projection, face: Int8Array): number[] {
  if (directions === undefined) {
    const scale = 1 / Math.sqrt(scoreOfCosineOne(dimension));
    return Array.from(face, (value) => value * scale);
  }
  const projected = Array.from({ length: size }, (_, row) => {
    let sum = 0;
    for (let k = 0, at = row * dimension; k < dimension; k++) sum += directions[at + k] * face[k];
    return sum;
  });
  const norm = Math.hypot(...projected);
  return projected.map((value) => value / norm);
}
