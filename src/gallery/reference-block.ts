/**
 * References in a block of an index file, in the same form as in memory. Little-endian:
 *
 *   0              u32 n, u32 v        references; bytes of each candidate vector and its codes
 *   8              u32 length [n]      bytes of each record, multiples of 16
 *   8 + 4 n        u32 owner [n]       number of the subject, in the order of the index's subjects
 *   8 + 8 n        n vectors     each followed by its codes
 *   8 + (8 + v) n  n records
 *
 * The format is independent of the segment layout in memory. Whole sections are copied there.
 */
import { damaged } from '../files/block-file.ts';

const HEADER_BYTES = 8;

export interface ReferenceBlock {
  readonly lengths: Uint32Array;
  readonly owners: Uint32Array;
  readonly vectors: Uint8Array;
  readonly records: Uint8Array;
}

/** A packed reference and the number of its subject. */
export interface OwnedReference {
  /** The record, followed by its candidate vector. */
  readonly packed: Uint8Array;
  readonly owner: number;
}

export function encodeReferences(references: readonly OwnedReference[], vectorBytes: number): Buffer {
  const n = references.length;
  const records = references.reduce((sum, { packed }) => sum + packed.length - vectorBytes, 0);
  const block = Buffer.alloc(HEADER_BYTES + (8 + vectorBytes) * n + records);
  block.writeUInt32LE(n, 0);
  block.writeUInt32LE(vectorBytes, 4);
  let [vector, record] = [HEADER_BYTES + 8 * n, HEADER_BYTES + (8 + vectorBytes) * n];
  references.forEach(({ packed, owner }, i) => {
    const length = packed.length - vectorBytes;
    block.writeUInt32LE(length, HEADER_BYTES + 4 * i);
    block.writeUInt32LE(owner, HEADER_BYTES + 4 * (n + i));
    block.set(packed.subarray(length), vector);
    block.set(packed.subarray(0, length), record);
    vector += vectorBytes;
    record += length;
  });
  return block;
}

/**
 * @param name - file name, for messages
 * @throws Failure INDEX_DAMAGED
 */
export function decodeReferences(block: Buffer, vectorBytes: number, name: string): ReferenceBlock {
  const n = block.length < HEADER_BYTES ? 0 : block.readUInt32LE(0);
  const records = HEADER_BYTES + (8 + vectorBytes) * n;
  if (n === 0 || block.readUInt32LE(4) !== vectorBytes || records > block.length)
    throw damaged(name, 'a block of it has another form');
  // A copy: the numbers must be aligned.
  const numbers = new Uint32Array(new Uint8Array(block.subarray(HEADER_BYTES, HEADER_BYTES + 8 * n)).buffer);
  const lengths = numbers.subarray(0, n);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (records + total !== block.length || lengths.some((length) => length % 16 !== 0))
    throw damaged(name, 'a block of it has another form');
  return {
    lengths,
    owners: numbers.subarray(n),
    vectors: block.subarray(HEADER_BYTES + 8 * n, records),
    records: block.subarray(records),
  };
}
