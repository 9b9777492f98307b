/** The whole store in one encrypted file, and back. */
import { rm } from 'node:fs/promises';
import { z } from 'zod';
import { newFileRefused } from './durable-file.ts';
import { Failure } from './failure.ts';
import { BlockFileWriter, readBlocks, type IndexSeal } from './gallery/index-files/block-file.ts';
import { sealersOf } from './security/block-sealer.ts';
import type { Keys } from './security/keys.ts';
import type { CopiedTable, CopyFacts, StoreCopy } from './store/store-copy.ts';

const FORMAT = 1;
/** What the blocks are sealed under, whatever the file is called. */
const NAME = 'backup';
/** Bytes of a block: what is held in memory. */
const BLOCK_BYTES = 1 << 20;

const headSchema = z.strictObject({
  format: z.literal(FORMAT),
  schema: z.string(),
  sequence: z.int().nonnegative(),
  state: z.string(),
});

/** What a backup is of. */
export interface BackupFacts {
  /** The last change of the store that it holds. */
  readonly sequence: number;
  readonly bytes: number;
}

/**
 * Writes a backup: consistent, encrypted with the current key, and checked block by block when it is read. Holds a
 * megabyte in memory.
 * @param file - a new one; removed again when this fails
 * @param onProgress - told the bytes that were written so far
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export async function backUp(
  copy: StoreCopy,
  keys: Keys,
  file: string,
  onProgress: (bytes: number) => void,
): Promise<BackupFacts> {
  const seal = sealWith(keys, keys.ring.currentId);
  const writer = await create(file, seal);
  let [pending, table, bytes, sequence]: [Buffer[], CopiedTable | undefined, number, number] = [[], undefined, 0, 0];
  const flush = async () => {
    if (table === undefined || pending.length === 0) return;
    const block = Buffer.concat([Buffer.from(`${table}\n`), ...pending]);
    pending = [];
    await writer.append(block);
    onProgress((bytes += block.length));
  };
  try {
    await copy.dump(
      async (facts) => {
        ({ sequence } = facts);
        await writer.append(Buffer.from(JSON.stringify({ format: FORMAT, ...facts })));
      },
      async (next, part) => {
        if (next !== table || pending.reduce((sum, { length }) => sum + length, 0) >= BLOCK_BYTES) await flush();
        table = next;
        pending.push(Buffer.from(part));
      },
    );
    await flush();
    return { sequence, bytes: (await writer.finish()).bytes };
  } catch (error) {
    await writer.abandon().catch(() => undefined);
    await rm(file, { force: true });
    // The disk is full, as a rule.
    if (!(error instanceof Failure) && error instanceof Error && 'syscall' in error)
      throw new Failure('internal', 'OUTPUT_UNWRITABLE', `${file} cannot be written to its end.`, { cause: error });
    throw error;
  }
}

/**
 * Fills an empty store from a backup: all of it, or nothing when anything is wrong.
 * @param onProgress - told the bytes that were read so far
 * @throws Failure BACKUP_DAMAGED, BACKUP_UNREADABLE, STORE_NOT_EMPTY, SCHEMA_DIFFERS, KEY_MISSING, KEY_WRONG
 */
export async function restore(
  copy: StoreCopy,
  keys: Keys,
  file: string,
  onProgress: (bytes: number) => void,
): Promise<Pick<BackupFacts, 'sequence'>> {
  const { facts, seal } = await open(keys, file);
  let bytes = 0;
  const feed = async (write: (table: CopiedTable, bytes: Buffer) => Promise<void>) => {
    let isHead = true;
    for await (const block of blocksOf(file, seal)) {
      if (!isHead) {
        const end = block.indexOf('\n');
        await write(block.toString('latin1', 0, end) as CopiedTable, block.subarray(end + 1));
      }
      isHead = false;
      onProgress((bytes += block.length));
    }
  };
  await copy.restore(facts, feed);
  return { sequence: facts.sequence };
}

/** What a backup is of, and how it was sealed: by one of the keys at hand. */
async function open(keys: Keys, file: string): Promise<{ readonly facts: CopyFacts; readonly seal: IndexSeal }> {
  for (const id of keys.ring.ids) {
    const seal = sealWith(keys, id);
    const blocks = blocksOf(file, seal);
    try {
      const { value } = await blocks.next();
      const head = headSchema.safeParse(JSON.parse(value?.toString() ?? 'null'));
      if (head.success) return { facts: head.data, seal };
    } catch (error) {
      if (error instanceof Failure && error.reason === 'BACKUP_UNREADABLE') throw error;
      // Another key, then.
    } finally {
      await blocks.return();
    }
  }
  const sentence = `${file} is no backup that the keys in ${keys.file} open, or its beginning is damaged.`;
  throw new Failure('failed-precondition', 'BACKUP_UNREADABLE', sentence);
}

/** @throws Failure BACKUP_DAMAGED, BACKUP_UNREADABLE */
async function* blocksOf(file: string, seal: IndexSeal): AsyncGenerator<Buffer, void> {
  try {
    yield* readBlocks(file, NAME, seal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.reason === 'INDEX_FILE_MISSING')
      throw new Failure('invalid-argument', 'BACKUP_UNREADABLE', `${file} is not there, or cannot be read.`);
    if (error.reason !== 'INDEX_DAMAGED') throw error;
    throw new Failure('failed-precondition', 'BACKUP_DAMAGED', `The backup ${file} is damaged; nothing was restored.`);
  }
}

function sealWith(keys: Keys, keyId: string): IndexSeal {
  return { sealer: sealersOf(keys, 'backup')(keyId), context: `backup ${FORMAT}` };
}

async function create(file: string, seal: IndexSeal): Promise<BlockFileWriter> {
  try {
    return await BlockFileWriter.create(file, NAME, seal);
  } catch (cause) {
    throw newFileRefused(file, cause);
  }
}
