/**
 * The finger kernel's encoding in plain TypeScript: slow, short, and identical to the last bit. The kernel is tested
 * against it, and it is the readable version of the algorithm. assembly/finger/ gives the reasons.
 */
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { originOf, attributeByteOf } from '../kernels/finger-encoder.ts';
import { CYLINDER_SIZE, MAX_ROOT, type FingerModel } from '../model/finger-model.ts';
import { MINIMUM_MINUTIAE } from '../kernels/kernels.ts';
import { BLOCK, CODE_BYTES, packedOffsets } from '../model/packed-layout.ts';
import { shippedFingerModel } from '../model/shipped-model.ts';
import { ANGULAR_WEIGHTS, COSINES, SPATIAL_WEIGHTS, UNIT } from './tables.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A minutia in packed coordinates, from the lower left corner of its print. */
export interface Directed extends Point {
  readonly angle: number;
}

/** Cosine and sine of a direction in 256ths of a turn. */
export function unitVector(direction: number): { readonly c: number; readonly s: number } {
  return { c: COSINES[direction] / UNIT, s: COSINES[(direction - 64) & 255] / UNIT };
}

/** Cells along one side of a cylinder's base, of the whole base, and of a turn. */
const SIDE = 8;
const CELLS = 64;
const TURN_CELLS = 6;
const RADIUS = 70;
const HULL_MARGIN_SQUARED = 2500;
const REACH_SQUARED = 784;
const FARTHEST_SQUARED = 9604;
/** Units of ANGULAR_WEIGHTS in a turn. */
const TURN = 768;

const middleOf = (i: number) => (i + 0.5) * 17.5 - RADIUS;
/** Centres of the cells of the base, in the minutia's own frame. */
const BASE: readonly { readonly u: number; readonly v: number }[] = Array.from({ length: CELLS }, (_, i) => ({
  u: middleOf(Math.floor(i / SIDE)),
  v: middleOf(i % SIDE),
}));

/** The minutiae of a template in packed coordinates, in its order. */
export function packedMinutiae(template: FingerTemplate): Directed[] {
  const origin = originOf(template);
  return template.minutiae.map(({ x, y, angle }) => ({ x: x - origin.x, y: y - origin.y, angle }));
}

/**
 * @returns the packed finger, byte for byte what the kernel makes; undefined for fewer than MINIMUM_MINUTIAE minutiae
 */
export function encodeFingerReference(
  template: FingerTemplate,
  model: FingerModel = shippedFingerModel(),
): Uint8Array | undefined {
  if (template.minutiae.length < MINIMUM_MINUTIAE) return undefined;
  const minutiae = packedMinutiae(template);
  const offsets = packedOffsets(minutiae.length);
  const packed = new Uint8Array(offsets.length);
  const view = new DataView(packed.buffer);
  packed[0] = minutiae.length;
  packed[1] = offsets.blocks;
  const hull = convexHull(minutiae);
  minutiae.forEach((minutia, i) => {
    view.setInt16(offsets.x + 2 * i, minutia.x, true);
    view.setInt16(offsets.y + 2 * i, minutia.y, true);
    packed[offsets.angle + i] = minutia.angle;
    packed[offsets.attributes + i] = attributeByteOf(template.minutiae[i]);
    const block = offsets.codes + Math.floor(i / BLOCK) * BLOCK * CODE_BYTES;
    codeOf(rootsOf(minutia, minutiae, hull), model).forEach(
      (byte, k) => (packed[block + k * BLOCK + (i % BLOCK)] = byte),
    );
  });
  return packed;
}

/** The roots of a minutia's cylinder, whole numbers up to MAX_ROOT. */
export function rootsOf(minutia: Directed, all: readonly Directed[], hull: readonly Point[]): Int16Array {
  return Int16Array.from(cylinderOf(minutia, all, hull), (value) => Math.min(MAX_ROOT, Math.floor(Math.sqrt(value))));
}

function codeOf(roots: Int16Array, { planes, offsets }: FingerModel): Uint8Array {
  const code = new Uint8Array(CODE_BYTES);
  for (let bit = 0; bit < 8 * CODE_BYTES; bit++) {
    let product = 0;
    for (let i = 0; i < CYLINDER_SIZE; i++) product += planes[bit * CYLINDER_SIZE + i] * roots[i];
    if (product > offsets[bit]) code[bit >> 3] |= 1 << (bit & 7);
  }
  return code;
}

/** The neighbourhood of a minutia: the value of direction k and cell i, j is at k · CELLS + i · SIDE + j. */
function cylinderOf(minutia: Directed, all: readonly Directed[], hull: readonly Point[]): Float64Array {
  const { c, s } = unitVector(minutia.angle);
  const valid = BASE.map(({ u, v }) => {
    const place = { x: minutia.x + c * u - s * v, y: minutia.y + s * u + c * v };
    return u * u + v * v <= RADIUS * RADIUS && squaredDistanceOutside(hull, place) <= HULL_MARGIN_SQUARED;
  });
  const cylinder = new Float64Array(CELLS * TURN_CELLS);
  for (const other of all) {
    if (other === minutia) continue;
    const dx = other.x - minutia.x;
    const dy = other.y - minutia.y;
    const u = c * dx + s * dy;
    const v = c * dy - s * dx;
    if (u * u + v * v > FARTHEST_SQUARED) continue;
    const difference = (minutia.angle - other.angle) & 255;
    BASE.forEach((cell, i) => {
      const squared = Math.floor((cell.u - u) * (cell.u - u) + (cell.v - v) * (cell.v - v) + 0.5);
      if (!valid[i] || squared > REACH_SQUARED) return;
      for (let k = 0; k < TURN_CELLS; k++) {
        cylinder[k * CELLS + i] += SPATIAL_WEIGHTS[squared] * angularWeight(difference, k);
      }
    });
  }
  return cylinder;
}

/** Share of a direction difference, in 256ths, in angular cell `k`; the first cell begins at half a turn. */
function angularWeight(difference: number, k: number): number {
  const middle = -TURN / 2 + (k + 0.5) * (TURN / TURN_CELLS);
  const forwards = (middle - 3 * difference + 2 * TURN) % TURN;
  return ANGULAR_WEIGHTS[Math.min(forwards, TURN - forwards)];
}

/** Andrew's monotone chain, counter-clockwise. */
export function convexHull(points: readonly Point[]): Point[] {
  const ordered = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const turn = (o: Point, a: Point, b: Point) => (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
  const chain = (side: readonly Point[], start: Point[]) => {
    const fixed = start.length;
    const hull = [...start];
    for (const next of side) {
      while (
        hull.length >= fixed + 1 &&
        hull.length >= 2 &&
        turn(hull.at(-2) as Point, hull.at(-1) as Point, next) <= 0
      ) {
        hull.pop();
      }
      hull.push(next);
    }
    return hull;
  };
  const lower = chain(ordered, []);
  return chain([...ordered].reverse().slice(1), lower).slice(0, -1);
}

/** Squared distance of a point to the hull; 0 inside. */
export function squaredDistanceOutside(hull: readonly Point[], { x, y }: Point): number {
  let inside = hull.length >= 3;
  let best = 1e18;
  hull.forEach((a, i) => {
    const b = hull[(i + 1) % hull.length];
    const ex = b.x - a.x;
    const ey = b.y - a.y;
    const px = x - a.x;
    const py = y - a.y;
    // Only an edge with the point on its outer side can be nearest.
    if (ex * py - ey * px >= 0 && hull.length >= 3) return;
    inside = false;
    const length = ex * ex + ey * ey;
    const along = Math.min(1, Math.max(0, length > 0 ? (ex * px + ey * py) / length : 0));
    const dx = px - along * ex;
    const dy = py - along * ey;
    best = Math.min(best, dx * dx + dy * dy);
  });
  return inside ? 0 : best;
}
