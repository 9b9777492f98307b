/**
 * The finger kernel's comparison in plain TypeScript: slow, short, and identical to the last bit. assembly/finger/
 * gives the reasons for each step. The order of additions matters, and Math.fround marks the kernel's single-precision
 * steps.
 */
import type { FingerModel } from '../model/finger-model.ts';
import { KNOT_COUNT, WEIGHTS_PER_POINT, WHOLE } from '../model/score-terms.ts';
import { MAX_FINGER_SCORE } from '../kernels/kernels.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';
import { alignCluster, alignMatches, type Alignment } from './alignment.ts';
import { weighEvidence } from './evidence.ts';
import { unpackFinger, type Comparison, type Finger, type Pair } from './finger.ts';
import { pairMinutiae, type Pairing } from './pairing.ts';
import { clusterOf, measureAgreements, relax, shortlist, supportOf } from './consensus.ts';

const MIN_SUPPORT = Math.fround(0.9);
const MIN_FIT = 19.4481;
const MIN_OVERLAP = 9;
const MIN_MATCHES = 3;
const MIN_FOR_AFFINE = 5;
const PASSES = 3;

/**
 * Compares two packed fingers. The score is symmetric in probe and reference.
 * @param minSupport - the comparison ends with 0 when the largest support is below it
 * @returns 0: no alignment was found; otherwise 1 to 65535
 */
export function compareFingersReference(
  probe: Uint8Array,
  reference: Uint8Array,
  model: FingerModel = shippedFingerModel(),
  minSupport = MIN_SUPPORT,
): number {
  const [first, second] = isFirst(probe, reference) ? [probe, reference] : [reference, probe];
  const found = align(unpackFinger(first), unpackFinger(second), minSupport);
  if (found === undefined) return 0;
  const { comparison, alignment, matches } = found;
  const masses = weighEvidence(comparison, alignment, matches);
  let sum = 0;
  for (let k = 0; k < KNOT_COUNT; k++) sum += masses[k] * model.weights[k];
  return Math.min(MAX_FINGER_SCORE, Math.max(1, Math.floor(sum / (WHOLE * WEIGHTS_PER_POINT))));
}

/** Fewer minutiae first. With equal counts, the finger with the smaller bytes, read as little-endian 64-bit numbers. */
function isFirst(one: Uint8Array, other: Uint8Array): boolean {
  if (one[0] !== other[0]) return one[0] < other[0];
  const [a, b] = [one, other].map(({ buffer, byteOffset, byteLength }) => new DataView(buffer, byteOffset, byteLength));
  for (let k = 0; k < one.length; k += 8) {
    const [p, q] = [a.getBigUint64(k, true), b.getBigUint64(k, true)];
    if (p !== q) return p < q;
  }
  return true;
}

interface Found {
  readonly comparison: Comparison;
  readonly alignment: Alignment;
  readonly matches: readonly Pair[];
}

function align(a: Finger, b: Finger, minSupport: number): Found | undefined {
  const distances = a.codes.map((p) => b.codes.map((q) => codeDistance(p, q)));
  const { pairs, meanDistance } = shortlist(a, b, distances);
  const comparison = { a, b, distances, meanDistance };
  const agreements = measureAgreements(pairs);
  const weights = pairs.map(({ weight }) => weight);
  const first = agreements.map((row) => supportOf(row, weights));
  if (Math.max(0, ...first) < minSupport) return undefined;
  const strengths = relax(agreements, weights, first);
  let alignment = alignCluster(clusterOf(pairs, agreements, strengths));
  let pairing = pairMinutiae(comparison, alignment);
  if (pairing.matches.length < MIN_MATCHES || !fits(comparison, alignment, pairing)) return undefined;
  for (let pass = 1; pass < PASSES; pass++) {
    const { matches } = pairing;
    alignment = alignMatches(a, b, matches, pass > 1 && matches.length >= MIN_FOR_AFFINE);
    pairing = pairMinutiae(comparison, alignment);
    if (pairing.matches.length < MIN_MATCHES) return undefined;
  }
  return { comparison, alignment, matches: pairing.matches };
}

function codeDistance(a: Uint8Array, b: Uint8Array): number {
  let bits = 0;
  a.forEach((byte, k) => {
    for (let rest = byte ^ b[k]; rest !== 0; rest &= rest - 1) bits++;
  });
  return bits;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

function fits({ a, b }: Comparison, alignment: Alignment, { fit }: Pairing): boolean {
  const moved = a.x.map((x, i) => alignment.move(x, a.y[i]));
  const fixed = b.x.map((x, j) => ({ x, y: b.y[j] }));
  const overlaps = Math.max(MIN_OVERLAP, inBox(moved, fixed)) * MIN_FIT * Math.max(MIN_OVERLAP, inBox(fixed, moved));
  return fit * fit * (fit * fit) >= overlaps;
}

/** Number of points within the bounding box of others. */
function inBox(points: readonly Point[], others: readonly Point[]): number {
  const xs = others.map(({ x }) => x);
  const ys = others.map(({ y }) => y);
  const [left, right, lower, upper] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return points.filter(({ x, y }) => x >= left && x <= right && y >= lower && y <= upper).length;
}
