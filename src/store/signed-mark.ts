/**
 * That all rows of a table were signed is noted twice: in the database, by a constraint that refuses rows without a
 * MAC, and in a file of the data directory, which the database's administrator cannot reset. Either is enough: a store
 * that was restored or replicated beside a new data directory brings the constraint with it.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { replaceFile } from '../files/durable-file.ts';
import { unwritable } from './data-directory.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Tables whose rows have MACs. */
export const SIGNED_TABLES = ['subject', 'change', 'client', 'subject_history'] as const;
export type SignedTable = (typeof SIGNED_TABLES)[number];

const FILES: Readonly<Record<SignedTable, string>> = {
  subject: 'rows-signed',
  change: 'changes-signed',
  client: 'clients-signed',
  subject_history: 'histories-signed',
};

/** `unsigned`: a store of an earlier version, whose rows have no MACs, or not all of them. */
export type Signedness = 'signed' | 'unsigned' | 'mark-removed';

function constraintOf(table: SignedTable): string {
  return `${table}_is_signed`;
}

export function isMarkedHere(dataDir: string, table: SignedTable): boolean {
  return existsSync(join(dataDir, FILES[table]));
}

/** @throws Failure DATA_DIRECTORY_UNWRITABLE */
export async function markHere(dataDir: string, table: SignedTable): Promise<void> {
  if (isMarkedHere(dataDir, table)) return;
  const content = `Every row of the table ${table} of the store of this data directory has a MAC. While this file is here, rows without one are damaged.\n`;
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await replaceFile(join(dataDir, FILES[table]), content, 0o600);
  } catch (cause) {
    throw unwritable(dataDir, cause);
  }
}

/** Whether the database refuses rows of a table without a MAC. */
export async function isMarkedThere(client: Client, table: SignedTable): Promise<boolean> {
  const sql = 'SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2';
  return (await client.query(sql, [table, constraintOf(table)])).rowCount === 1;
}

/**
 * Whether rows of a table without a MAC are damaged. `mark-removed`: they are, and the database no longer says so: its
 * mark was removed.
 */
export async function signednessOf(client: Client, dataDir: string, table: SignedTable): Promise<Signedness> {
  if (await isMarkedThere(client, table)) return 'signed';
  if (!isMarkedHere(dataDir, table)) return 'unsigned';
  // Nothing was removed from an empty table: it may be of a new database, for this data directory.
  const { rows } = await client.query(`SELECT FROM ${table} LIMIT 1`);
  return rows.length === 0 ? 'signed' : 'mark-removed';
}

/** For the rest of a transaction that marks the table again. */
export async function unmarkThere(client: Client, table: SignedTable): Promise<void> {
  await client.query(`ALTER TABLE ${table} DROP CONSTRAINT IF EXISTS ${constraintOf(table)}`);
}

/** From now on, the database refuses rows without a MAC. Waits for transactions that change the table. */
export async function markThere(client: Client, table: SignedTable): Promise<void> {
  if (await isMarkedThere(client, table)) return;
  await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  // Another process may have been first.
  if (await isMarkedThere(client, table)) return;
  // Not valid: rows that are damaged, or lost their MAC, are none of its concern.
  await client.query(`ALTER TABLE ${table} ADD CONSTRAINT ${constraintOf(table)} CHECK (mac IS NOT NULL) NOT VALID`);
}
