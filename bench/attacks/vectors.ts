/** Arithmetic of attackers, on vectors of any length. */
import type { Random } from '../../src/random.ts';

export type Vector = Float64Array;

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k] * b[k];
  return sum;
}

export function unit(vector: ArrayLike<number>): Vector {
  const length = Math.sqrt(dot(vector, vector)) || 1;
  return Float64Array.from(vector, (value) => value / length);
}

/** Σ weights[i] · vectors[i] */
export function combined(vectors: readonly ArrayLike<number>[], weights: readonly number[]): Vector {
  const sum = new Float64Array(vectors[0].length);
  vectors.forEach((vector, i) => {
    for (let k = 0; k < sum.length; k++) sum[k] += weights[i] * vector[k];
  });
  return sum;
}

/** A direction as faces differ: a random combination of the attacker's own, without their mean. */
export function naturalDirection(faces: readonly Vector[], random: Random, of = 12): Vector {
  const picked = Array.from({ length: of }, () => faces[random.below(faces.length)]);
  const weights = picked.map(() => random.normal());
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / of;
  return unit(
    combined(
      picked,
      weights.map((weight) => weight - mean),
    ),
  );
}

export function normalDirection(dimension: number, random: Random): Vector {
  return unit(Float64Array.from({ length: dimension }, () => random.normal()));
}
