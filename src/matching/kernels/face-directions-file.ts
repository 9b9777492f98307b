/**
 * Directions of face codes as bytes, for index files. Little-endian:
 *
 *   0      u32 dimension
 *   4      u32 FACE_DIRECTIONS
 *   8      f64 unit
 *   16     i32 [FACE_DIRECTIONS]               offsets
 *   1,040  i8 [FACE_DIRECTIONS × dimension]    directions
 */
import { partitionOfKey } from '../../gallery/catalogue.ts';
import { directionsHash, FACE_DIRECTIONS, FaceCoder, type FaceDirections } from './face-codes.ts';

const HEADER_BYTES = 16;
const DIRECTIONS_OFFSET = HEADER_BYTES + 4 * FACE_DIRECTIONS;

export function encodeDirections({ dimension, directions, offsets, unit }: FaceDirections): Uint8Array {
  const bytes = new Uint8Array(DIRECTIONS_OFFSET + FACE_DIRECTIONS * dimension);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, dimension, true);
  view.setUint32(4, FACE_DIRECTIONS, true);
  view.setFloat64(8, unit, true);
  new Int32Array(offsets).forEach((offset, j) => view.setInt32(HEADER_BYTES + 4 * j, offset, true));
  bytes.set(new Uint8Array(directions), DIRECTIONS_OFFSET);
  return bytes;
}

/** @throws RangeError when the bytes have another form */
export function decodeDirections(bytes: Uint8Array): FaceDirections {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const dimension = bytes.length < DIRECTIONS_OFFSET ? 0 : view.getUint32(0, true);
  const isOfForm = bytes.length === DIRECTIONS_OFFSET + FACE_DIRECTIONS * dimension && dimension % 16 === 0;
  if (dimension === 0 || !isOfForm || view.getUint32(4, true) !== FACE_DIRECTIONS)
    throw new RangeError('these are no directions of face codes');
  const unit = view.getFloat64(8, true);
  if (!(unit > 0 && unit < Infinity)) throw new RangeError('directions without a unit');
  const directions = new SharedArrayBuffer(FACE_DIRECTIONS * dimension);
  const offsets = new SharedArrayBuffer(4 * FACE_DIRECTIONS);
  new Uint8Array(directions).set(bytes.subarray(DIRECTIONS_OFFSET));
  const products = new Int32Array(offsets);
  for (let j = 0; j < FACE_DIRECTIONS; j++) products[j] = view.getInt32(HEADER_BYTES + 4 * j, true);
  const numbers = { dimension, directions, offsets, unit };
  return { ...numbers, hash: directionsHash(numbers) };
}

/**
 * The coder of the faces of a partition, from directions in a file; see MakeCoder.
 * @throws RangeError when the bytes have another form, or are of faces of another dimension
 */
export function faceCoderOf(bytes: Uint8Array, key: string): FaceCoder {
  const name = partitionOfKey(key);
  const directions = decodeDirections(bytes);
  if (name.modality !== 'face' || name.dimension !== directions.dimension)
    throw new RangeError(`these are no directions of ${key}`);
  return new FaceCoder(directions);
}
