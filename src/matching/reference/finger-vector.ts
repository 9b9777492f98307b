/** The candidate vector in plain TypeScript, the same to the last bit as the kernel's; reasons in assembly/finger/vector.ts. */
import type { FingerTemplate } from '../../templates/finger-template.ts';
import { traitsOf } from '../finger-encoder.ts';
import { CYLINDER_SIZE } from '../finger-model.ts';
import {
  EXPONENTIAL_SIZE,
  VECTOR_AGGREGATE,
  VECTOR_DIRECTIONS,
  VECTOR_SIZE,
  VECTOR_UNIT,
  VECTOR_WORDS,
  type VectorModel,
} from '../finger-vector-model.ts';
import { MINIMUM_MINUTIAE } from '../kernels.ts';
import { shippedVectorModel } from '../shipped-model.ts';
import { convexHull, packedMinutiae, rootsOf } from './finger-encoding.ts';

const LENGTH = (127 * 16) / 4.5;

/** @returns undefined for fewer than MINIMUM_MINUTIAE minutiae */
export function encodeVectorReference(
  template: FingerTemplate,
  model: VectorModel = shippedVectorModel(),
): Int8Array | undefined {
  if (template.minutiae.length < MINIMUM_MINUTIAE) return undefined;
  const minutiae = packedMinutiae(template);
  const hull = convexHull(minutiae);
  const sums = new Int32Array(VECTOR_AGGREGATE);
  minutiae.forEach((minutia, i) => {
    const z = directionsOf(rootsOf(minutia, minutiae, hull), model);
    addToWords(z, model.quality[traitsOf(template.minutiae[i]) >> 2], model, sums);
  });
  return compress(flattenWords(sums), model);
}

/** The leading discriminants of a cylinder, of length VECTOR_UNIT. */
export function directionsOf(
  roots: Int16Array,
  { projection, means }: Pick<VectorModel, 'projection' | 'means'>,
): Int16Array {
  const values = new Float64Array(VECTOR_DIRECTIONS);
  let squares = 0;
  for (let e = 0; e < VECTOR_DIRECTIONS; e++) {
    let sum = -means[e];
    for (let i = 0; i < CYLINDER_SIZE; i++) sum += projection[e * CYLINDER_SIZE + i] * roots[i];
    values[e] = sum;
    squares += sum * sum;
  }
  const scale = squares > 0 ? VECTOR_UNIT / Math.sqrt(squares) : 0;
  return Int16Array.from(values, (value) => Math.floor(value * scale + 0.5));
}

type Codebook = Pick<VectorModel, 'words' | 'squares' | 'exponential'>;

/** Adds a minutia's differences to the words that it is near to. */
export function addToWords(
  z: Int16Array,
  weight: number,
  { words, squares, exponential }: Codebook,
  sums: Int32Array,
): void {
  const near = Int32Array.from({ length: VECTOR_WORDS }, (_, k) => {
    let product = 0;
    for (let e = 0; e < VECTOR_DIRECTIONS; e++) product += z[e] * words[k * VECTOR_DIRECTIONS + e];
    return 2 * product - squares[k];
  });
  const nearest = near.reduce((a, b) => Math.max(a, b));
  const shares = near.map((value) => exponential[Math.min(EXPONENTIAL_SIZE - 1, (nearest - value) >> 18)]);
  const total = shares.reduce((a, b) => a + b);
  for (let k = 0; k < VECTOR_WORDS; k++) {
    if (shares[k] * 50 < total) continue;
    const share = (Math.floor((shares[k] * 16_384) / total) * weight) >> 6;
    for (let e = 0; e < VECTOR_DIRECTIONS; e++) {
      const at = k * VECTOR_DIRECTIONS + e;
      sums[at] += (share * (z[e] - words[at])) >> 8;
    }
  }
}

/** Signed square roots, of length 32767. */
export function flattenWords(sums: Int32Array): Int16Array {
  let total = 0;
  for (const sum of sums) total += Math.abs(sum);
  const scale = total > 0 ? (32_767 * 32_767) / total : 0;
  return Int16Array.from(sums, (sum) => {
    const root = Math.floor(Math.sqrt(Math.abs(sum) * scale));
    return sum < 0 ? -root : root;
  });
}

function compress(flat: Int16Array, { directions, centre, scale }: VectorModel): Int8Array {
  const values = new Float64Array(VECTOR_SIZE);
  let squares = 0;
  for (let j = 0; j < VECTOR_SIZE; j++) {
    let product = 0;
    for (let i = 0; i < VECTOR_AGGREGATE; i++) product += directions[j * VECTOR_AGGREGATE + i] * flat[i];
    values[j] = (product - centre[j]) * scale[j];
    squares += values[j] * values[j];
  }
  const length = squares > 0 ? LENGTH / Math.sqrt(squares) : 0;
  return Int8Array.from(values, (value) => Math.max(-127, Math.min(127, Math.floor(value * length + 0.5))));
}

export function scanVectorsReference(probe: Int8Array, vectors: readonly Int8Array[]): number[] {
  return vectors.map((vector) => vector.reduce((sum, value, i) => sum + value * probe[i], 0));
}
