/** Writes the whole store to one encrypted file, and restores it. */
import { open as openFile } from 'node:fs/promises';
import { z } from 'zod';
import { createFile, requireNew } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { BlockFileWriter, readBlocks, type IndexSeal } from '../files/block-file.ts';
import { sealersOf } from '../security/block-sealer.ts';
import type { Keys } from '../security/keys.ts';
import type { CopyFacts, StoreCopy } from '../store/store-copy.ts';

/** Files of format 1 have no preamble, and their copies lack the state of imports. */
const FORMAT = 2;
const FIRST_FORMAT = 1;
/** Name in the blocks' context, independent of the file's name. */
const NAME = 'backup';
/** Bytes of a block. One is held in memory. */
const BLOCK_BYTES = 1 << 20;
/**
 * A backup begins with a line that can be read without a key: the format and, as JSON, the required keys. The line is
 * part of the blocks' context: changed, it makes them unreadable.
 */
const PREAMBLE = /^RWBACKUP2 (\{[^\n]{1,16000}\})\n/;
const MAX_PREAMBLE_BYTES = 16_384;

const headSchema = z.strictObject({
  format: z.union([z.literal(FORMAT), z.literal(FIRST_FORMAT)]),
  schema: z.string(),
  sequence: z.int().nonnegative(),
  state: z.string(),
});

const preambleSchema = z.strictObject({
  /** Key of the backup. */
  key: z.string(),
  /** Keys of the templates in it. */
  templateKeys: z.array(z.string()),
});

/** State and size of a backup. */
export interface BackupFacts {
  /** The last change of the store in the backup. */
  readonly sequence: number;
  readonly bytes: number;
}

/**
 * Writes a backup: consistent, encrypted with the current key, and verified block by block when it is read. Needs a
 * megabyte of memory.
 * @param file - a new file; complete or absent
 * @param onProgress - called with the bytes written so far
 * @throws Failure OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export async function backUp(
  copy: StoreCopy,
  keys: Keys,
  file: string,
  onProgress: (bytes: number) => void,
): Promise<BackupFacts> {
  requireNew(file);
  let [bytes, sequence, size] = [0, 0, 0];
  await createFile(file, async (draft) => {
    let [pending, table]: [Buffer[], string | undefined] = [[], undefined];
    let writer: BlockFileWriter | undefined;
    const flush = async () => {
      if (table === undefined || pending.length === 0) return;
      const block = Buffer.concat([Buffer.from(`${table}\n`), ...pending]);
      pending = [];
      await writer?.append(block);
      onProgress((bytes += block.length));
    };
    await copy.dump(
      async ({ schema, state, templateKeys, ...facts }) => {
        ({ sequence } = facts);
        const key = keys.ring.currentId;
        const preamble = `RWBACKUP${FORMAT} ${JSON.stringify({ key, templateKeys })}\n`;
        await draft.writeFile(preamble);
        writer = await BlockFileWriter.begin(draft, NAME, sealWith(keys, key, contextOf(preamble)));
        await writer.append(Buffer.from(JSON.stringify({ format: FORMAT, schema, sequence, state })));
      },
      async (next, part) => {
        if (next !== table || pending.reduce((sum, { length }) => sum + length, 0) >= BLOCK_BYTES) await flush();
        table = next;
        pending.push(Buffer.from(part));
      },
    );
    await flush();
    await writer?.end();
    ({ size } = await draft.stat());
  });
  return { sequence, bytes: size };
}

/**
 * Reads a backup to its end and changes nothing: damage is found before a store is touched.
 * @param keys - open, or without a key file
 * @param onProgress - called with the bytes read so far
 * @throws Failure BACKUP_DAMAGED; BACKUP_UNREADABLE, which names the required keys
 */
export async function checkBackup(keys: Keys, file: string, onProgress: (bytes: number) => void): Promise<void> {
  const { seal, from } = await open(keys, file);
  let bytes = 0;
  for await (const block of blocksOf(file, seal, from)) onProgress((bytes += block.length));
}

/**
 * Fills an empty store from a backup, completely or not at all.
 * @param onProgress - called with the bytes read so far
 * @throws Failure BACKUP_DAMAGED, BACKUP_UNREADABLE, STORE_NOT_EMPTY, SCHEMA_DIFFERS, KEY_MISSING, KEY_WRONG
 */
export async function restore(
  copy: StoreCopy,
  keys: Keys,
  file: string,
  onProgress: (bytes: number) => void,
): Promise<Pick<BackupFacts, 'sequence'>> {
  const { facts, seal, from } = await open(keys, file);
  let bytes = 0;
  const feed = async (write: (table: string, bytes: Buffer) => Promise<void>) => {
    let isHead = true;
    for await (const block of blocksOf(file, seal, from)) {
      if (!isHead) {
        const end = block.indexOf('\n');
        await write(block.toString('utf8', 0, end), block.subarray(end + 1));
      }
      isHead = false;
      onProgress((bytes += block.length));
    }
  };
  await copy.restore(facts, feed);
  return { sequence: facts.sequence };
}

interface OpenBackup {
  readonly facts: CopyFacts;
  readonly seal: IndexSeal;
  /** Offset of the first block. */
  readonly from: number;
}

/** Opens a backup with one of the available keys. */
async function open(keys: Keys, file: string): Promise<OpenBackup> {
  const { line, needed } = await readPreamble(file);
  const held = keys.isOpen ? keys.ring.ids : [];
  const context = line === '' ? `backup ${FIRST_FORMAT}` : contextOf(line);
  const from = Buffer.byteLength(line);
  // Format 1 does not name its key: try each.
  for (const id of needed === undefined ? held : held.filter((id) => id === needed.key)) {
    const seal = sealWith(keys, id, context);
    const blocks = blocksOf(file, seal, from);
    try {
      const { value } = await blocks.next();
      const head = headSchema.safeParse(JSON.parse(value?.toString() ?? 'null'));
      if (!head.success) continue;
      const missing = needed?.templateKeys.filter((one) => !held.includes(one)) ?? [];
      if (missing.length > 0) throw notOpened(file, keys, missing);
      const { schema, sequence, state } = head.data;
      return { facts: { schema, sequence, state }, seal, from };
    } catch (error) {
      if (error instanceof Failure && error.reason === 'BACKUP_UNREADABLE') throw error;
      // Wrong key: try the next.
    } finally {
      await blocks.return();
    }
  }
  throw notOpened(file, keys, needed === undefined ? [] : [needed.key, ...needed.templateKeys]);
}

/** @param needed - the required keys, if known */
function notOpened(file: string, keys: Keys, needed: readonly string[]): Failure {
  const held = keys.isOpen ? `hold ${keys.ring.ids.join(', ')}` : 'are not there';
  const missing = [...new Set(needed)].filter((id) => !keys.isOpen || !keys.ring.ids.includes(id));
  const why =
    missing.length > 0
      ? `it needs key ${missing.join(' and key ')}, and these ${held}. Name the file that has it: --key-file or RIDGEWATCH_KEY_FILE`
      : `these ${held}, or its beginning is damaged. Name the file that has the key it was made with: --key-file or RIDGEWATCH_KEY_FILE`;
  const sentence = `${file} is no backup that the keys in ${keys.file} open: ${why}.`;
  return new Failure('failed-precondition', 'BACKUP_UNREADABLE', sentence);
}

/** @returns an empty line for a file without a preamble */
async function readPreamble(
  file: string,
): Promise<{ readonly line: string; readonly needed: z.output<typeof preambleSchema> | undefined }> {
  const bytes = Buffer.alloc(MAX_PREAMBLE_BYTES);
  let length: number;
  try {
    const handle = await openFile(file, 'r');
    try {
      ({ bytesRead: length } = await handle.read(bytes, 0, bytes.length, 0));
    } finally {
      await handle.close();
    }
  } catch {
    throw new Failure('invalid-argument', 'BACKUP_UNREADABLE', `${file} is not there, or cannot be read.`);
  }
  const found = PREAMBLE.exec(bytes.toString('utf8', 0, length));
  if (found === null) return { line: '', needed: undefined };
  try {
    const parsed = preambleSchema.safeParse(JSON.parse(found[1] ?? ''));
    return { line: found[0], needed: parsed.data };
  } catch {
    return { line: found[0], needed: undefined };
  }
}

function contextOf(preamble: string): string {
  return `backup ${preamble}`;
}

/** @throws Failure BACKUP_DAMAGED, BACKUP_UNREADABLE */
async function* blocksOf(file: string, seal: IndexSeal, from: number): AsyncGenerator<Buffer, void> {
  try {
    yield* readBlocks(file, NAME, seal, true, from);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.reason === 'INDEX_FILE_MISSING')
      throw new Failure('invalid-argument', 'BACKUP_UNREADABLE', `${file} is not there, or cannot be read.`);
    if (error.reason !== 'INDEX_DAMAGED') throw error;
    throw new Failure('failed-precondition', 'BACKUP_DAMAGED', `The backup ${file} is damaged; nothing was restored.`);
  }
}

function sealWith(keys: Keys, keyId: string, context: string): IndexSeal {
  return { sealer: sealersOf(keys, 'backup')(keyId), context };
}
