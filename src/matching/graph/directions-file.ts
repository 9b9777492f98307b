/**
 * Principal directions as bytes, for index files. Little-endian:
 *
 *   0              u32 dimension, u32 size, u32 learnedFrom, u32 0
 *   16             f64 variance
 *   24             f64 [size]                mean
 *   24 + 8 size    f64 [size × dimension]    directions
 */
import type { PrincipalDirections } from '../kernels/principal-directions.ts';

const HEADER_BYTES = 24;

export function encodePrincipalDirections(directions: PrincipalDirections): Uint8Array {
  const { dimension, size, learnedFrom, variance, mean } = directions;
  const bytes = new Uint8Array(HEADER_BYTES + 8 * size * (1 + dimension));
  const view = new DataView(bytes.buffer);
  [dimension, size, learnedFrom].forEach((value, i) => view.setUint32(4 * i, value, true));
  const numbers = [variance, ...mean, ...directions.directions];
  numbers.forEach((value, i) => view.setFloat64(16 + 8 * i, value, true));
  return bytes;
}

/** @throws RangeError when the bytes have another form, or are of vectors with another number of components */
export function decodePrincipalDirections(bytes: Uint8Array, dimension: number): PrincipalDirections {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = bytes.length < HEADER_BYTES ? 0 : view.getUint32(4, true);
  const isOfForm = size > 0 && bytes.length === HEADER_BYTES + 8 * size * (1 + dimension);
  if (!isOfForm || view.getUint32(0, true) !== dimension) throw new RangeError('these are no principal directions');
  const numbers = (offset: number, count: number) =>
    Float64Array.from({ length: count }, (_, i) => view.getFloat64(offset + 8 * i, true));
  return {
    dimension,
    size,
    directions: numbers(HEADER_BYTES + 8 * size, size * dimension),
    mean: numbers(HEADER_BYTES, size),
    variance: view.getFloat64(16, true),
    learnedFrom: view.getUint32(8, true),
  };
}
