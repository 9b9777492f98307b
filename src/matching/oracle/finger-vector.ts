/** The kernel's candidate vector in plain TypeScript, identical to the last bit. Reasons: assembly/finger/vector.ts. */
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { attributeByteOf } from '../kernels/finger-encoder.ts';
import {
  PAIR_CELLS,
  PAIR_LENGTHS,
  PAIR_TURN_PARTS,
  ROOTS_UNIT,
  VECTOR_SIZE,
  type VectorModel,
} from '../model/finger-vector-model.ts';
import { MINIMUM_MINUTIAE } from '../kernels/kernels.ts';
import { shippedVectorModel } from '../model/shipped-model.ts';
import { packedMinutiae } from './finger-encoding.ts';
import { ARCTANGENTS } from './tables.ts';

const CELL_PIXELS = 15;
const FARTHEST_SQUARED = 150 ** 2;
const NEAREST_SQUARED = 36;
const LENGTH = (127 * 16) / 4.5;

/** @returns undefined for fewer than MINIMUM_MINUTIAE minutiae */
export function encodeVectorReference(
  template: FingerTemplate,
  model: VectorModel = shippedVectorModel(),
): Int8Array | undefined {
  const roots = pairRoots(template, model);
  return roots && project(roots, model);
}

/**
 * The roots of a print's pair histogram, of length ROOTS_UNIT: [PAIR_LENGTHS × PAIR_TURN_PARTS × PAIR_TURN_PARTS].
 * @returns undefined for fewer than MINIMUM_MINUTIAE minutiae
 */
export function pairRoots(
  template: FingerTemplate,
  { quality, ranks }: Pick<VectorModel, 'quality' | 'ranks'>,
): Int16Array | undefined {
  if (template.minutiae.length < MINIMUM_MINUTIAE) return undefined;
  const minutiae = packedMinutiae(template);
  const weights = template.minutiae.map((minutia) => quality[attributeByteOf(minutia) >> 2]);
  const histogram = new Int32Array(PAIR_CELLS);
  minutiae.forEach((first, i) => {
    const squares = minutiae.map(({ x, y }) => (x - first.x) ** 2 + (y - first.y) ** 2);
    const counted = squares.filter((square) => square > NEAREST_SQUARED && square <= FARTHEST_SQUARED);
    minutiae.forEach((second, j) => {
      const square = squares[j];
      if (square <= NEAREST_SQUARED || square > FARTHEST_SQUARED) return;
      const rank = ranks[counted.reduce((nearer, other) => nearer + (other < square ? 1 : 0), 0)];
      const line = directionOf(second.x - first.x, second.y - first.y);
      const weight = (weights[i] * weights[j] * rank) >> 6;
      const turns = [first, second].map(({ angle }) => ((angle - line) & 255) * PAIR_TURN_PARTS);
      addPair(Math.sqrt(square), turns[0], turns[1], weight, histogram);
    });
  });
  return flatten(histogram);
}

/** Direction of a line of non-zero length, in 256ths of a turn. */
function directionOf(x: number, y: number): number {
  const [w, h] = [Math.abs(x), Math.abs(y)];
  const slope = Math.floor((256 * Math.min(w, h)) / Math.max(w, h));
  const upper = w > h ? ARCTANGENTS[slope] : 64 - ARCTANGENTS[slope];
  const angle = x < 0 ? 128 - upper : upper;
  return y < 0 ? -angle : angle;
}

function addPair(length: number, first: number, second: number, weight: number, histogram: Int32Array): void {
  const l = Math.floor((length * 256) / CELL_PIXELS) - 128;
  for (const [cellL, shareL] of [0, 1].map((i) => [(l >> 8) + i, sharesOf(l)[i]])) {
    const row = Math.min(PAIR_LENGTHS - 1, Math.max(0, cellL)) * PAIR_TURN_PARTS ** 2;
    for (const [cellA, shareA] of [0, 1].map((i) => [(first >> 8) + i, sharesOf(first)[i]])) {
      const weightA = (weight * shareL * shareA) >> 14;
      for (const [cellB, shareB] of [0, 1].map((i) => [(second >> 8) + i, sharesOf(second)[i]])) {
        const at = row + (cellA % PAIR_TURN_PARTS) * PAIR_TURN_PARTS + (cellB % PAIR_TURN_PARTS);
        histogram[at] += (weightA * shareB) >> 4;
      }
    }
  }
}

/** Shares of a position between two cells, in 256ths: of the lower and of the upper cell. */
function sharesOf(place: number): readonly [number, number] {
  return [256 - (place & 255), place & 255];
}

function flatten(histogram: Int32Array): Int16Array {
  const total = histogram.reduce((sum, value) => sum + value, 0);
  const scale = total > 0 ? ROOTS_UNIT ** 2 / total : 0;
  return Int16Array.from(histogram, (value) => Math.floor(Math.sqrt(value * scale)));
}

function project(roots: Int16Array, { directions, centre, scale }: VectorModel): Int8Array {
  const values = new Float64Array(VECTOR_SIZE);
  let squares = 0;
  for (let j = 0; j < VECTOR_SIZE; j++) {
    let product = 0;
    for (let i = 0; i < PAIR_CELLS; i++) product += directions[j * PAIR_CELLS + i] * roots[i];
    values[j] = (product - centre[j]) * scale[j];
    squares += values[j] * values[j];
  }
  const length = squares > 0 ? LENGTH / Math.sqrt(squares) : 0;
  return Int8Array.from(values, (value) => Math.max(-127, Math.min(127, Math.floor(value * length + 0.5))));
}

/** Inner products with the probe, divided by 8. */
export function scanVectorsReference(probe: Int8Array, vectors: readonly Int8Array[]): number[] {
  return vectors.map((vector) => {
    const sum = vector.reduce((all, value, i) => all + value * probe[i], 0);
    return Math.max(-32_767, Math.min(32_767, sum >> 3));
  });
}
