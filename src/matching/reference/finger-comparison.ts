/**
 * The finger kernel's comparison in plain TypeScript: slow, short, and the same to the last bit. The reasons for each
 * step are in assembly/finger/. Order matters wherever numbers are added: it is the kernel's.
 */
import { LARGEST_FINGER_SCORE } from '../kernels.ts';
import { alignCluster, alignMatches, type Alignment } from './alignment.ts';
import { unitVector } from './finger-encoding.ts';
import { unpackFinger, type Finger, type Pair, type ShortlistedPair } from './finger.ts';

const PAIRS = 32;
const COS_30 = 0.8660254037844386;
const LEAST_COSINE = 0.8;
const LEAST_SUPPORT = 1.1;
const FEWEST_MATCHES = 3;
const FEWEST_FOR_AFFINE = 5;
const PASSES = 3;

/**
 * Compares two packed fingers.
 * @returns 0 to 65535
 */
export function compareFingersReference(probe: Uint8Array, reference: Uint8Array): number {
  const a = unpackFinger(probe);
  const b = unpackFinger(reference);
  const distances = a.codes.map((p) => b.codes.map((q) => codeDistance(p, q)));
  const { pairs, meanDistance } = shortlist(a, b, distances);
  const agreements = pairs.map((p, i) =>
    pairs.map((q, j) => (i === j ? 0 : i < j ? agreement(p, q) : agreement(q, p))),
  );
  const first = support(
    agreements,
    pairs.map(({ weight }) => weight),
  );
  if (largest(first) < LEAST_SUPPORT) return 0;
  const strengths = relax(agreements, pairs, first);
  let alignment = alignCluster(cluster(pairs, agreements, strengths));
  let matches = match(a, b, distances, meanDistance, alignment);
  for (let pass = 1; pass < PASSES; pass++) {
    if (matches.length < FEWEST_MATCHES) return 0;
    alignment = alignMatches(a, b, matches, pass > 1 && matches.length >= FEWEST_FOR_AFFINE);
    matches = match(a, b, distances, meanDistance, alignment);
  }
  return matches.length < FEWEST_MATCHES ? 0 : score(a, b, distances, meanDistance, alignment, matches);
}

function codeDistance(a: Uint8Array, b: Uint8Array): number {
  let bits = 0;
  a.forEach((byte, k) => {
    for (let rest = byte ^ b[k]; rest !== 0; rest &= rest - 1) bits++;
  });
  return Math.min(255, bits);
}

function shortlist(a: Finger, b: Finger, distances: readonly number[][]) {
  const all = distances.flatMap((row, i) => row.map((distance, j) => ({ i, j, distance })));
  // Stable: equal distances stay in row order.
  const limit = [...all].sort((p, q) => p.distance - q.distance).slice(0, PAIRS);
  const chosen = new Set(limit);
  const kept = all.filter((pair) => chosen.has(pair));
  const sum = kept.reduce((total, { distance }) => total + distance, 0);
  const meanDistance = Math.max(1, sum / kept.length);
  const pairs = kept.map(({ i, j, distance }): ShortlistedPair => {
    const { c, s } = unitVector((b.angle[j] - a.angle[i]) & 255);
    const [ax, ay] = [a.x[i], a.y[i]];
    const [bx, by] = [b.x[j], b.y[j]];
    return { i, j, ax, ay, bx, by, c, s, weight: 1 / (1 + distance / meanDistance) };
  });
  return { pairs, meanDistance };
}

function agreement(p: ShortlistedPair, q: ShortlistedPair): number {
  const sameTurn = p.c * q.c + p.s * q.s;
  if (sameTurn <= COS_30) return 0;
  const [dx, dy, ex, ey] = [q.ax - p.ax, q.ay - p.ay, q.bx - p.bx, q.by - p.by];
  const a2 = dx * dx + dy * dy;
  const b2 = ex * ex + ey * ey;
  if (a2 <= 16 || b2 <= 16) return 0;
  const la = Math.sqrt(a2);
  const lb = Math.sqrt(b2);
  const tolerance = 12 + 0.03 * (la + lb);
  const stretch = Math.abs(la - lb);
  if (stretch >= tolerance) return 0;
  const dot = dx * ex + dy * ey;
  const cross = dx * ey - dy * ex;
  const sameLine = Math.min(p.c * dot + p.s * cross, q.c * dot + q.s * cross) / (la * lb);
  if (sameLine <= LEAST_COSINE) return 0;
  return (
    (1 - stretch / tolerance) * ((sameLine - LEAST_COSINE) / (1 - LEAST_COSINE)) * ((sameTurn - COS_30) / (1 - COS_30))
  );
}

function support(agreements: readonly number[][], strengths: readonly number[]): number[] {
  return agreements.map((row) => row.reduce((sum, value, q) => sum + value * strengths[q], 0));
}

function largest(values: readonly number[]): number {
  return Math.max(0, ...values);
}

function relax(agreements: readonly number[][], pairs: readonly ShortlistedPair[], first: readonly number[]): number[] {
  const scaled = (values: readonly number[]) => {
    const top = largest(values);
    return values.map((value) => (top > 0 ? value / top : 0));
  };
  let strengths = scaled(first);
  for (let round = 1; round < 3; round++) {
    strengths = scaled(support(agreements, strengths).map((sum, p) => sum * pairs[p].weight));
  }
  return strengths;
}

/** The strongest pair and those that agree with it, strongest first, each minutia once. */
function cluster(pairs: readonly ShortlistedPair[], agreements: readonly number[][], strengths: readonly number[]) {
  const strengthOf = (p: number) => strengths[p];
  const byStrength = pairs.map((_, p) => p).sort((p, q) => strengthOf(q) - strengthOf(p) || p - q);
  const seed = byStrength[0];
  const agreeing = byStrength.filter((p) => p === seed || (agreements[seed]?.[p] ?? 0) > 0);
  // The seed goes first even where another pair is as strong and stands before it.
  const ordered = [seed, ...agreeing.filter((p) => p !== seed)];
  return eachOnce(ordered.map((p) => ({ ...pairs[p], strength: strengthOf(p) })));
}

/** Goes through the pairs in order and drops those of which a minutia is in use. */
function eachOnce<T extends Pair>(ordered: readonly T[]): T[] {
  const usedI = new Set<number>();
  const usedJ = new Set<number>();
  return ordered.filter(({ i, j }) => {
    if (usedI.has(i) || usedJ.has(j)) return false;
    usedI.add(i);
    usedJ.add(j);
    return true;
  });
}

function radiusSquared(alignment: Alignment, x: number, y: number): number {
  const dx = x - alignment.centreX;
  const dy = y - alignment.centreY;
  const radius = 14 + 0.05 * Math.sqrt(dx * dx + dy * dy);
  return radius * radius;
}

function directionCosine({ c, s }: Alignment, probeAngle: number, referenceAngle: number): number {
  const p = unitVector(probeAngle);
  const r = unitVector(referenceAngle);
  return (p.c * c - p.s * s) * r.c + (p.s * c + p.c * s) * r.s;
}

interface Geometry {
  readonly squared: number;
  readonly limit: number;
  readonly cosine: number;
}

/** How the two minutiae of a pair lie to each other after the alignment. */
function geometry(a: Finger, b: Finger, alignment: Alignment, i: number, j: number): Geometry {
  const { x, y } = alignment.move(a.x[i], a.y[i]);
  const dx = b.x[j] - x;
  const dy = b.y[j] - y;
  return {
    squared: dx * dx + dy * dy,
    limit: radiusSquared(alignment, x, y),
    cosine: directionCosine(alignment, a.angle[i], b.angle[j]),
  };
}

function match(
  a: Finger,
  b: Finger,
  distances: readonly number[][],
  meanDistance: number,
  alignment: Alignment,
): Pair[] {
  const candidates = distances.flatMap((row, i) =>
    row.flatMap((distance, j) => {
      const { squared, limit, cosine } = geometry(a, b, alignment, i, j);
      if (squared >= limit || cosine <= COS_30) return [];
      return [{ i, j, cost: squared / limit + (1 - cosine) / (1 - COS_30) + (0.5 * distance) / meanDistance }];
    }),
  );
  return eachOnce(candidates.sort((p, q) => p.cost - q.cost));
}

function score(
  a: Finger,
  b: Finger,
  distances: readonly number[][],
  meanDistance: number,
  alignment: Alignment,
  matches: readonly Pair[],
): number {
  let worth = 0;
  for (const { i, j } of matches) {
    const { squared, limit, cosine } = geometry(a, b, alignment, i, j);
    const code = 1 - (distances[i]?.[j] ?? 0) / (1.6 * meanDistance);
    if (code > 0) worth += code * (1 - squared / limit) * (1 - (1 - cosine) / (1 - COS_30));
  }
  const moved = a.x.map((x, i) => alignment.move(x, a.y[i]));
  const fixed = b.x.map((x, j) => ({ x, y: b.y[j] }));
  const overlap = Math.sqrt(Math.max(9, inBoxOf(fixed, moved)) * Math.max(9, inBoxOf(moved, fixed)));
  return Math.min(LARGEST_FINGER_SCORE, Math.floor((1000 * worth * worth) / overlap));
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** How many points lie in the box around others, widened by eight pixels. */
function inBoxOf(box: readonly Point[], points: readonly Point[]): number {
  const xs = box.map(({ x }) => x);
  const ys = box.map(({ y }) => y);
  const [left, right, lower, upper] = [
    Math.min(...xs) - 8,
    Math.max(...xs) + 8,
    Math.min(...ys) - 8,
    Math.max(...ys) + 8,
  ];
  return points.filter(({ x, y }) => x > left && x < right && y > lower && y < upper).length;
}
