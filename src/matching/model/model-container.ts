/**
 * The file format of a trained model.
 *
 *   0     u32 magic number, u32 format version, u32 bytes of the description
 *   12    the description, JSON in UTF-8, padded with spaces to a multiple of 16 from the beginning of the file
 *   …     the parts, concatenated
 *   …     SHA-256 of everything before
 *
 * All numbers are little-endian. The description states what the model was trained on. The hash identifies the model.
 */
import { createHash } from 'node:crypto';

const HEADER_BYTES = 12;
const HASH_BYTES = 32;

/** Distinguishes the kinds of model files. */
export interface ContainerKind {
  readonly magic: number;
  readonly format: number;
  /** Name of the kind in messages. */
  readonly what: string;
}

/** A container's content, each part in a buffer of its own. */
export interface ContainerContent {
  readonly description: unknown;
  readonly parts: readonly ArrayBuffer[];
  /** SHA-256 of the whole file, hexadecimal. */
  readonly hash: string;
}

export function writeContainer(
  kind: ContainerKind,
  description: unknown,
  parts: readonly ArrayBufferView[],
): Uint8Array {
  const json = JSON.stringify(description);
  const bytes = Buffer.byteLength(json);
  const padding = (16 - ((HEADER_BYTES + bytes) % 16)) % 16;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(kind.magic, 0);
  header.writeUInt32LE(kind.format, 4);
  header.writeUInt32LE(bytes + padding, 8);
  const body = Buffer.concat([
    header,
    Buffer.from(json + ' '.repeat(padding)),
    ...parts.map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength)),
  ]);
  return Buffer.concat([body, createHash('sha256').update(body).digest()]);
}

/**
 * @param lengths - bytes of each part
 * @throws Error when the file is damaged, or of another kind or format
 */
export function readContainer(
  { magic, format, what }: ContainerKind,
  file: Uint8Array,
  lengths: readonly number[],
): ContainerContent {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < HEADER_BYTES + HASH_BYTES || bytes.readUInt32LE(0) !== magic)
    throw new Error(`this is not a ${what}`);
  if (bytes.readUInt32LE(4) !== format) throw new Error(`${what}s of format ${bytes.readUInt32LE(4)} are unknown`);
  const start = HEADER_BYTES + bytes.readUInt32LE(8);
  const end = start + lengths.reduce((sum, length) => sum + length, 0);
  if (bytes.length !== end + HASH_BYTES) throw new Error(`the ${what} has the wrong size`);
  const hash = createHash('sha256').update(bytes.subarray(0, end)).digest();
  if (!hash.equals(bytes.subarray(end))) throw new Error(`the ${what} is damaged: its hash does not match`);
  let from = start;
  const parts = lengths.map((length) => {
    const part = Uint8Array.from(bytes.subarray(from, from + length)).buffer;
    from += length;
    return part;
  });
  return {
    description: JSON.parse(bytes.toString('utf8', HEADER_BYTES, start)) as unknown,
    parts,
    hash: hash.toString('hex'),
  };
}
