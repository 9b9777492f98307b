/** Shortlist, consensus and cluster in plain TypeScript. See assembly/finger/shortlist.ts and consensus.ts. */
import { unitVector } from './finger-encoding.ts';
import type { Finger, Pair, ShortlistedPair } from './finger.ts';

const PAIRS = 32;
const ROUNDS = 3;
const f = Math.fround;
const COS_30 = f(0.8660254037844386);
const MIN_COSINE = f(0.8);
const PER_TURN_AND_LINE = f(37.32050807568877);

/** The pairs with the smallest code distances, sorted by rotation, then distance, then position. */
export function shortlist(a: Finger, b: Finger, distances: readonly (readonly number[])[]) {
  const all = distances.flatMap((row, i) => row.map((distance, j) => ({ i, j, distance })));
  // Stable: equal distances stay in row order.
  const kept = [...all].sort((p, q) => p.distance - q.distance).slice(0, PAIRS);
  const meanDistance = Math.max(1, kept.reduce((total, { distance }) => total + distance, 0) / kept.length);
  const rotated = kept.map((pair) => ({ ...pair, rotation: (b.angle[pair.j] - a.angle[pair.i]) & 255 }));
  rotated.sort((p, q) => p.rotation - q.rotation || p.distance - q.distance || p.i - q.i || p.j - q.j);
  const pairs = rotated.map(({ i, j, distance, rotation }): ShortlistedPair => {
    const [ax, ay, bx, by] = [a.x[i], a.y[i], b.x[j], b.y[j]];
    return { i, j, ax, ay, bx, by, ...unitVector(rotation), weight: f(1 / (1 + distance / meanDistance)) };
  });
  return { pairs, meanDistance };
}

/** Agreement of every two pairs, 0 to 1. */
export function measureAgreements(pairs: readonly ShortlistedPair[]): number[][] {
  return pairs.map((p) => pairs.map((q) => agreement(p, q)));
}

/** x y + z w, in single precision. */
function sumOfProducts(x: number, y: number, z: number, w: number): number {
  return f(f(x * y) + f(z * w));
}

function agreement(p: ShortlistedPair, q: ShortlistedPair): number {
  const turn = f(sumOfProducts(p.c, q.c, p.s, q.s) - COS_30);
  if (turn <= 0) return 0;
  const [dx, dy, ex, ey] = [f(q.ax - p.ax), f(q.ay - p.ay), f(q.bx - p.bx), f(q.by - p.by)];
  const a2 = sumOfProducts(dx, dx, dy, dy);
  const b2 = sumOfProducts(ex, ex, ey, ey);
  if (a2 <= 16 || b2 <= 16) return 0;
  const [la, lb] = [f(Math.sqrt(a2)), f(Math.sqrt(b2))];
  const tolerance = f(12 + f(f(0.03) * f(la + lb)));
  const stretch = f(tolerance - Math.abs(f(la - lb)));
  const dot = sumOfProducts(dx, ex, dy, ey);
  const cross = sumOfProducts(dx, ey, -dy, ex);
  const along = Math.min(sumOfProducts(p.c, dot, p.s, cross), sumOfProducts(q.c, dot, q.s, cross));
  const lengths = f(la * lb);
  const line = f(along - f(MIN_COSINE * lengths));
  if (stretch <= 0 || line <= 0) return 0;
  return f(f(f(stretch * line) * f(turn * PER_TURN_AND_LINE)) / f(tolerance * lengths));
}

/** Sum of the agreements weighted by strength: four interleaved partial sums, as in the kernel. */
export function supportOf(row: readonly number[], strengths: readonly number[]): number {
  const lanes = [0, 0, 0, 0];
  row.forEach((value, q) => (lanes[q % 4] = f(lanes[q % 4] + f(value * strengths[q]))));
  return f(f(lanes[0] + lanes[1]) + f(lanes[2] + lanes[3]));
}

/** @returns the strength of each pair, 0 to 1 */
export function relax(
  agreements: readonly (readonly number[])[],
  weights: readonly number[],
  first: readonly number[],
): number[] {
  const scaled = (values: readonly number[]) => {
    const largest = Math.max(0, ...values);
    return values.map((value) => (largest > 0 ? f(value / largest) : 0));
  };
  let strengths = scaled(first);
  for (let round = 1; round < ROUNDS; round++) {
    strengths = scaled(agreements.map((row, p) => f(supportOf(row, strengths) * weights[p])));
  }
  return strengths;
}

export type StrongPair = ShortlistedPair & { readonly strength: number };

/** The strongest pair and those that agree with it, strongest first, each minutia once. */
export function clusterOf(
  pairs: readonly ShortlistedPair[],
  agreements: readonly (readonly number[])[],
  strengths: readonly number[],
): StrongPair[] {
  const byStrength = [...pairs.keys()].sort((p, q) => strengths[q] - strengths[p] || p - q);
  const seed = byStrength[0];
  const ordered = [seed, ...byStrength.filter((p) => p !== seed && agreements[seed][p] > 0)];
  return eachOnce(ordered.map((p) => ({ ...pairs[p], strength: strengths[p] })));
}

/** Keeps pairs in order, and drops those with a minutia already used. */
export function eachOnce<T extends Pair>(ordered: readonly T[]): T[] {
  const usedI = new Set<number>();
  const usedJ = new Set<number>();
  return ordered.filter(({ i, j }) => {
    if (usedI.has(i) || usedJ.has(j)) return false;
    usedI.add(i);
    usedJ.add(j);
    return true;
  });
}
