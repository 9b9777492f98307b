/** Pairs of minutiae that coincide after alignment, in plain TypeScript. See assembly/finger/pairing.ts. */
import type { Alignment } from './alignment.ts';
import { eachOnce } from './consensus.ts';
import { unitVector } from './finger-encoding.ts';
import type { Comparison, Pair } from './finger.ts';

/** cos 30° in double precision. */
export const COS_30 = 0.8660254037844386;
const RADIUS = 14;
const RADIUS_PER_PIXEL = 0.05;
const CODE_WEIGHT = 0.5;
const CHEAP = 2;
const f = Math.fround;

export interface Pairing {
  readonly matches: readonly Pair[];
  /** How well the two coincide. */
  readonly fit: number;
}

/** Relative position of two minutiae after alignment. */
export interface Geometry {
  /** From the moved first minutia to the second. */
  readonly residualX: number;
  readonly residualY: number;
  /** Squared distance, and its squared limit. */
  readonly squared: number;
  readonly limit: number;
  /** Cosine of the angle between their directions. */
  readonly cosine: number;
}

export function geometryOf({ a, b }: Comparison, alignment: Alignment, { i, j }: Pair): Geometry {
  const { x, y } = alignment.move(a.x[i], a.y[i]);
  const residualX = f(b.x[j] - x);
  const residualY = f(b.y[j] - y);
  const squared = f(f(residualX * residualX) + f(residualY * residualY));
  const dx = x - alignment.centreX;
  const dy = y - alignment.centreY;
  const radius = RADIUS + RADIUS_PER_PIXEL * Math.sqrt(dx * dx + dy * dy);
  const cosine = directionCosine(alignment, a.angle[i], b.angle[j]);
  return { residualX, residualY, squared, limit: f(radius * radius), cosine };
}

function directionCosine({ c, s }: Alignment, firstAngle: number, secondAngle: number): number {
  const p = unitVector(firstAngle);
  const q = unitVector(secondAngle);
  return (p.c * c - p.s * s) * q.c + (p.s * c + p.c * s) * q.s;
}

/** Pairs minutiae in order of cost, each once. */
export function pairMinutiae(comparison: Comparison, alignment: Alignment): Pairing {
  const { distances, meanDistance } = comparison;
  const candidates = distances.flatMap((row, i) =>
    row.flatMap((distance, j) => {
      const { squared, limit, cosine } = geometryOf(comparison, alignment, { i, j });
      if (squared >= limit || cosine <= COS_30) return [];
      const cost = squared / limit + (1 - cosine) / (1 - COS_30) + (CODE_WEIGHT * distance) / meanDistance;
      return [{ i, j, cost: f(cost) }];
    }),
  );
  const matches = eachOnce(candidates.sort((p, q) => p.cost - q.cost));
  return { matches, fit: matches.reduce((fit, { cost }) => (cost < CHEAP ? fit + (CHEAP - cost) : fit), 0) };
}
