/** Input of a graph: whole vectors as they are, or their principal directions. */
import {
  alongDirections,
  learnPrincipalDirections,
  toUnitLength,
  type PrincipalDirections,
} from '../../src/matching/kernels/principal-directions.ts';

/** Rows that principal directions are learned from. */
const LEARNED_FROM = 10_000;

/** All components as they are. */
export interface WholeVectors {
  readonly dimension: number;
  readonly size: number;
  readonly directions: undefined;
  readonly mean: Float64Array;
  readonly variance: number;
}

/** Plain data: it is sent to a thread. */
export type Projection = PrincipalDirections | WholeVectors;

/** All components: the inner products are those of the scan. */
export function wholeVectors(dimension: number): WholeVectors {
  return { dimension, size: dimension, directions: undefined, mean: new Float64Array(dimension), variance: 1 };
}

/** The mean, and the `size` directions with the most variance, descending, of rows spread over the gallery. */
export function principalDirections(references: Int8Array, dimension: number, size: number): PrincipalDirections {
  const rows = references.length / dimension;
  const step = Math.max(1, Math.floor(rows / LEARNED_FROM));
  const sample = new Int8Array(Math.min(rows, LEARNED_FROM) * dimension);
  for (let i = 0; i * dimension < sample.length; i++)
    sample.set(references.subarray(i * step * dimension, (i * step + 1) * dimension), i * dimension);
  return learnPrincipalDirections(sample, dimension, size);
}

/** @returns `size` components: of length 1, without the mean if projected */
export function project(projection: Projection, vector: Int8Array): number[] {
  return projection.directions === undefined ? toUnitLength(Array.from(vector)) : alongDirections(projection, vector);
}
