/** The whole store in one encrypted file, and back. */
import { open as openFile } from 'node:fs/promises';
import { z } from 'zod';
import { createFile, requireNew } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { BlockFileWriter, readBlocks, type IndexSeal } from '../files/block-file.ts';
import { sealersOf } from '../security/block-sealer.ts';
import type { Keys } from '../security/keys.ts';
import type { CopyFacts, StoreCopy } from '../store/store-copy.ts';

/** With the first one, files had no preamble, and copies lacked what imports keep. */
const FORMAT = 2;
const FIRST_FORMAT = 1;
/** What the blocks are sealed under, whatever the file is called. */
const NAME = 'backup';
/** Bytes of a block: what is held in memory. */
const BLOCK_BYTES = 1 << 20;
/**
 * A backup begins with a line that can be read without any key: what it is and, as JSON, which keys it needs. Its blocks
 * open under this very line only.
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
  /** That it is encrypted with. */
  key: z.string(),
  /** That templates in it are encrypted with. */
  templateKeys: z.array(z.string()),
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
 * @param file - a new one; there whole, or not at all
 * @param onProgress - told the bytes that were written so far
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
 * Reads a backup to its end, and changes nothing: what is not whole is known before a store is touched.
 * @param keys - opened, or not there at all
 * @param onProgress - told the bytes that were read so far
 * @throws Failure BACKUP_DAMAGED, BACKUP_UNREADABLE: says which keys it needs
 */
export async function checkBackup(keys: Keys, file: string, onProgress: (bytes: number) => void): Promise<void> {
  const { seal, from } = await open(keys, file);
  let bytes = 0;
  for await (const block of blocksOf(file, seal, from)) onProgress((bytes += block.length));
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
  /** Where its blocks begin. */
  readonly from: number;
}

/** What a backup is of, and how it was sealed: by one of the keys at hand. */
async function open(keys: Keys, file: string): Promise<OpenBackup> {
  const { line, needed } = await readPreamble(file);
  const held = keys.isOpen ? keys.ring.ids : [];
  const context = line === '' ? `backup ${FIRST_FORMAT}` : contextOf(line);
  const from = Buffer.byteLength(line);
  // Of the first format it is not known which key it was.
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
      // Another key, then.
    } finally {
      await blocks.return();
    }
  }
  throw notOpened(file, keys, needed === undefined ? [] : [needed.key, ...needed.templateKeys]);
}

/** @param needed - the keys that it needs, as far as that is known */
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

/** @returns an empty line where there is none */
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
