/**
 * Files of records that wait for the database.
 *
 *   0   8 bytes   "RWSPOOL1"
 *   8   u32       bytes of the rest of the frame, little-endian
 *       u64       number of the batch's first record
 *       u8        bytes of the key's id, then the id
 *       …         the sealed batch: JSON of its records; see Keys.seal
 *       u32 …     and so on
 *
 * A batch is sealed under its writer and the number of its first record: none can be exchanged or moved.
 */
import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import type { Sealed } from '../security/keys.ts';
import type { KeyPurpose } from '../security/key-ring.ts';
import type { ChainedRecord } from './chain.ts';

export const SPOOL_MAGIC = Buffer.from('RWSPOOL1');
const LENGTH_BYTES = 4;
const NUMBER_BYTES = 8;
/** Far above any batch: a larger length is damage. */
const MAX_FRAME_BYTES = 1 << 26;
const PURPOSE = 'audit';

/** Seals and opens batches, see Keys. */
export interface SpoolSealer {
  seal(plain: Uint8Array, purpose: KeyPurpose, context: string): Sealed;
  unseal(sealed: Sealed, purpose: KeyPurpose, context: string): Buffer;
}

const batchSchema = z.array(
  z.strictObject({ seq: z.int().positive(), text: z.string(), hash: z.base64(), signature: z.base64().optional() }),
);

/** A batch in a file. */
export interface SpooledBatch {
  readonly records: readonly ChainedRecord[];
  /** Offset behind it. */
  readonly end: number;
}

export function frameOf(batch: readonly ChainedRecord[], sealer: SpoolSealer): Buffer {
  const content = batch.map(({ seq, text, hash, signature }) => ({
    seq,
    text,
    hash: hash.toString('base64'),
    signature: signature?.toString('base64'),
  }));
  const first = batch[0]?.seq ?? 0;
  const { keyId, bytes } = sealer.seal(
    Buffer.from(JSON.stringify(content)),
    PURPOSE,
    contextOf(batch[0]?.writer ?? '', first),
  );
  const head = Buffer.alloc(LENGTH_BYTES + NUMBER_BYTES + 1);
  head.writeUInt32LE(NUMBER_BYTES + 1 + keyId.length + bytes.length);
  head.writeBigUInt64LE(BigInt(first), LENGTH_BYTES);
  head.writeUInt8(keyId.length, LENGTH_BYTES + NUMBER_BYTES);
  return Buffer.concat([head, Buffer.from(keyId, 'latin1'), bytes]);
}

/**
 * The batches of a file, in order, to its end. A batch that was cut off at the end was never acknowledged, and is left
 * out.
 * @param writer - whose file it is
 * @param at - offset of the first batch wanted
 * @param until - offset where they end
 * @throws Failure AUDIT_SPOOL_DAMAGED; KEY_MISSING
 */
export async function* batchesOf(
  file: FileHandle,
  writer: string,
  sealer: SpoolSealer,
  at = SPOOL_MAGIC.length,
  until = Infinity,
): AsyncGenerator<SpooledBatch, void> {
  const magic = await read(file, 0, SPOOL_MAGIC.length);
  if (magic === undefined) return;
  if (!magic.equals(SPOOL_MAGIC)) throw damaged(writer);
  while (at < until) {
    const length = (await read(file, at, LENGTH_BYTES))?.readUInt32LE();
    if (length === undefined) return;
    if (length > MAX_FRAME_BYTES || length <= NUMBER_BYTES) throw damaged(writer);
    const body = await read(file, at + LENGTH_BYTES, length);
    if (body === undefined) return;
    at += LENGTH_BYTES + length;
    yield { records: open(body, writer, sealer), end: at };
  }
}

/** @returns undefined where the file is shorter */
async function read(file: FileHandle, at: number, length: number): Promise<Buffer | undefined> {
  const bytes = Buffer.alloc(length);
  let end = 0;
  while (end < length) {
    const { bytesRead } = await file.read(bytes, end, length - end, at + end);
    if (bytesRead === 0) return undefined;
    end += bytesRead;
  }
  return bytes;
}

function open(body: Buffer, writer: string, sealer: SpoolSealer): ChainedRecord[] {
  const first = Number(body.readBigUInt64LE());
  const idEnd = NUMBER_BYTES + 1 + body.readUInt8(NUMBER_BYTES);
  const sealed = { keyId: body.toString('latin1', NUMBER_BYTES + 1, idEnd), bytes: body.subarray(idEnd) };
  try {
    const plain = sealer.unseal(sealed, PURPOSE, contextOf(writer, first));
    return batchSchema.parse(JSON.parse(plain.toString())).map(({ seq, text, hash, signature }) => ({
      writer,
      seq,
      text,
      hash: Buffer.from(hash, 'base64'),
      signature: signature === undefined ? undefined : Buffer.from(signature, 'base64'),
    }));
  } catch (error) {
    if (error instanceof Failure && error.reason === 'KEY_MISSING') throw error;
    throw damaged(writer);
  }
}

function contextOf(writer: string, first: number): string {
  return `audit spool ${writer} ${first}`;
}

function damaged(writer: string): Failure {
  const sentence = `The file of audit records of the writer ${writer} that waits for the database is damaged.`;
  return new Failure('internal', 'AUDIT_SPOOL_DAMAGED', sentence);
}
