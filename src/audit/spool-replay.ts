/** Brings the records that killed writers left in files to the database. */
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import { FileLock } from '../files/file-lock.ts';
import { Failure } from '../failure.ts';
import type { AuditLog } from './audit-log.ts';
import type { ChainedRecord } from './chain.ts';
import { writerOf } from './spool.ts';
import { batchesOf, type SpoolSealer } from './spool-file.ts';

/** A file that cannot be replayed keeps its content under another name. */
const SET_ASIDE = '.damaged';

/** What a replay did. */
export interface Replayed {
  readonly records: number;
  /** Files that were set aside: some of their records are missing. */
  readonly damaged: readonly string[];
  /** Files that stay, because a key for them is missing. */
  readonly locked: readonly string[];
}

/**
 * Replays the files of writers that have ended. A file is removed once all of its records are in the database: a kill
 * at any moment loses none and doubles none.
 * @throws Failure of the database: the files stay
 */
export async function replaySpools(folder: string, log: AuditLog, sealer: SpoolSealer): Promise<Replayed> {
  let records = 0;
  const [damaged, locked]: [string[], string[]] = [[], []];
  for (const name of await spoolsIn(folder)) {
    const path = join(folder, name);
    const lock = takeLock(path);
    // The writer is still there.
    if (lock === undefined) continue;
    try {
      records += await replay(path, writerOf(name) ?? '', log, sealer);
      await rm(path);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.reason === 'KEY_MISSING') locked.push(path);
      else if (error.reason === 'AUDIT_SPOOL_DAMAGED' || error.reason === 'AUDIT_DIVERGED') {
        await rename(path, path + SET_ASIDE);
        damaged.push(path + SET_ASIDE);
      } else throw error;
    } finally {
      lock.release();
    }
  }
  if (records + damaged.length > 0) await syncDirectory(folder);
  return { records, damaged, locked };
}

/**
 * The records in all files, by writer: they are not lost, although the database does not have them yet.
 * @throws Failure AUDIT_SPOOL_DAMAGED, KEY_MISSING
 */
export async function spooledRecords(
  folder: string,
  sealer: SpoolSealer,
): Promise<Map<string, readonly ChainedRecord[]>> {
  const found = new Map<string, ChainedRecord[]>();
  for (const name of await spoolsIn(folder)) {
    const writer = writerOf(name) ?? '';
    for await (const batch of batchesIn(join(folder, name), writer, sealer))
      found.set(writer, [...(found.get(writer) ?? []), ...batch]);
  }
  return found;
}

async function replay(path: string, writer: string, log: AuditLog, sealer: SpoolSealer): Promise<number> {
  let count = 0;
  for await (const batch of batchesIn(path, writer, sealer)) {
    await log.append(batch);
    count += batch.length;
  }
  return count;
}

async function* batchesIn(
  path: string,
  writer: string,
  sealer: SpoolSealer,
): AsyncGenerator<readonly ChainedRecord[], void> {
  const file = await open(path, 'r');
  try {
    for await (const { records } of batchesOf(file, writer, sealer)) yield records;
  } finally {
    await file.close();
  }
}

async function spoolsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => writerOf(name) !== undefined).sort();
}

function takeLock(path: string): FileLock | undefined {
  try {
    return FileLock.take(path, { missing: 'refuse' });
  } catch (error) {
    // Its writer has just removed it.
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  }
}
