/**
 * That all rows of a store were signed is noted twice: in the database, by a constraint that refuses rows without a
 * MAC, and in a file of the data directory, which the database's administrator cannot reset. Either is enough: a store
 * that was restored or replicated beside a new data directory brings the constraint with it.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { replaceFile } from '../files/durable-file.ts';
import { unwritable } from './data-directory.ts';

const FILE = 'rows-signed';
const CONTENT =
  'Every row of the store of this data directory has a MAC. While this file is here, rows without one are damaged.\n';
const CONSTRAINT = 'subject_is_signed';

export function isMarkedHere(dataDir: string): boolean {
  return existsSync(join(dataDir, FILE));
}

/** @throws Failure DATA_DIRECTORY_UNWRITABLE */
export async function markHere(dataDir: string): Promise<void> {
  if (isMarkedHere(dataDir)) return;
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await replaceFile(join(dataDir, FILE), CONTENT, 0o600);
  } catch (cause) {
    throw unwritable(dataDir, cause);
  }
}

export async function isMarkedThere(client: Pick<pg.ClientBase, 'query'>): Promise<boolean> {
  const sql = "SELECT FROM pg_constraint WHERE conrelid = 'subject'::regclass AND conname = $1";
  return (await client.query(sql, [CONSTRAINT])).rowCount === 1;
}

/** For the rest of a transaction that marks the store again. */
export async function unmarkThere(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  await client.query(`ALTER TABLE subject DROP CONSTRAINT IF EXISTS ${CONSTRAINT}`);
}

/** From now on, the database refuses rows without a MAC. Waits for transactions that change subjects. */
export async function markThere(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  if (await isMarkedThere(client)) return;
  await client.query('LOCK TABLE subject IN ACCESS EXCLUSIVE MODE');
  // Another process may have been first.
  if (await isMarkedThere(client)) return;
  // Not valid: rows that are damaged, or lost their MAC, are none of its concern.
  await client.query(`ALTER TABLE subject ADD CONSTRAINT ${CONSTRAINT} CHECK (mac IS NOT NULL) NOT VALID`);
}
