/**
 * The finger comparison model: everything in it that was learned, in one file. index-builder/train/ makes it.
 *
 *   0     'RWFM', u32 format version, u32 bytes of the description
 *   12    the description, JSON in UTF-8, filled up with spaces to a multiple of 16 from the beginning of the file
 *   …     i16 planes [128 × 384], i32 offsets [128], i32 weights [knots of the score's terms]
 *   …     SHA-256 of everything before
 *
 * All little-endian. The description says what the model was made from; the hash names it.
 */
import { createHash } from 'node:crypto';
import { KNOT_COUNT } from './score-terms.ts';

/** Bits of a minutia code. */
export const CODE_BITS = 128;
/** Values of a cylinder. */
export const CYLINDER_SIZE = 384;
/** Largest root of a cylinder's value that counts. */
export const LARGEST_ROOT = 8191;

const MAGIC = 0x4d465752;
const FORMAT = 1;
const HEADER_BYTES = 12;
const HASH_BYTES = 32;
const PLANES_BYTES = CODE_BITS * CYLINDER_SIZE * 2;
const OFFSETS_BYTES = CODE_BITS * 4;
const WEIGHTS_BYTES = KNOT_COUNT * 4;

/** A set of prints that a model was made from. */
export interface TrainingSet {
  readonly name: string;
  readonly fingers: number;
  readonly prints: number;
  /** SHA-256 of the templates' names and bytes, in order. */
  readonly digest: string;
}

export interface ModelDescription {
  readonly name: string;
  readonly trainedOn: readonly TrainingSet[];
  /** Parameters of the training. */
  readonly parameters: Readonly<Record<string, number | string>>;
}

export interface FingerModel {
  readonly description: ModelDescription;
  /** Planes that a minutia's code is made by: bit k is Σ planes[k][i] · root[i] > offsets[k]. */
  readonly planes: Int16Array;
  readonly offsets: Int32Array;
  /** Weights of the knots of the score's terms, sixteenths of points. */
  readonly weights: Int32Array;
  /** SHA-256 of the whole, hexadecimal. */
  readonly hash: string;
}

/** @throws RangeError when a part has the wrong size, or planes could leave thirty-two bits */
export function writeFingerModel(model: Omit<FingerModel, 'hash'>): Uint8Array {
  checkParts(model);
  const json = JSON.stringify(model.description);
  const bytes = Buffer.byteLength(json);
  const padding = (16 - ((HEADER_BYTES + bytes) % 16)) % 16;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(FORMAT, 4);
  header.writeUInt32LE(bytes + padding, 8);
  const { planes, offsets, weights } = model;
  const body = Buffer.concat([
    header,
    Buffer.from(json + ' '.repeat(padding)),
    ...[planes, offsets, weights].map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)),
  ]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

function checkParts({ planes, offsets, weights }: Omit<FingerModel, 'hash'>): void {
  if (planes.length !== CODE_BITS * CYLINDER_SIZE) throw new RangeError('planes of the wrong size');
  if (offsets.length !== CODE_BITS) throw new RangeError('offsets of the wrong size');
  if (weights.length !== KNOT_COUNT) throw new RangeError('weights of the wrong size');
  for (let k = 0; k < CODE_BITS; k++) {
    let most = 0;
    for (let i = 0; i < CYLINDER_SIZE; i++) most += Math.abs(planes[k * CYLINDER_SIZE + i]) * LARGEST_ROOT;
    if (most >= 2 ** 31) throw new RangeError(`the sums of plane ${k} could leave thirty-two bits`);
  }
}

/**
 * Reads a model file.
 * @throws Error when it is damaged, or of another format than this program's
 */
export function readFingerModel(file: Uint8Array): FingerModel {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < HEADER_BYTES + HASH_BYTES || bytes.readUInt32LE(0) !== MAGIC)
    throw new Error('this is no finger model');
  if (bytes.readUInt32LE(4) !== FORMAT)
    throw new Error(`finger models of format ${bytes.readUInt32LE(4)} are not known`);
  const start = HEADER_BYTES + bytes.readUInt32LE(8);
  const end = start + PLANES_BYTES + OFFSETS_BYTES + WEIGHTS_BYTES;
  if (bytes.length !== end + HASH_BYTES) throw new Error('the finger model has the wrong size');
  const hash = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!hash.equals(bytes.subarray(end))) throw new Error('the finger model is damaged: its hash is another');
  const part = (from: number, length: number) => Uint8Array.from(bytes.subarray(from, from + length)).buffer;
  return {
    description: JSON.parse(bytes.toString('utf8', HEADER_BYTES, start)) as ModelDescription,
    planes: new Int16Array(part(start, PLANES_BYTES)),
    offsets: new Int32Array(part(start + PLANES_BYTES, OFFSETS_BYTES)),
    weights: new Int32Array(part(start + PLANES_BYTES + OFFSETS_BYTES, WEIGHTS_BYTES)),
    hash: hash.toString('hex'),
  };
}
