/** Finds blocks of tables that are unreadable, or lack rows. */
import pg from 'pg';
import { blocksOf, fromTables, isPlanned, tryRead } from './damaged-pages.ts';
import { hasExtension } from './database-extensions.ts';
import { findLostEntries } from './lost-places.ts';
import { lostOf, type LostOfTable } from './lost-rows.ts';
import { readAllTables } from './tables.ts';
import { withoutTimeLimit } from './transaction.ts';

/** Tables whose rows can be derived from other tables, or from files beside the store. */
const DERIVED_TABLES = new Set(['change_counter', 'migration', 'template_key']);

/** An unreadable block of a table, of its large values, or of its sequence of numbers. */
export interface DamagedBlock {
  readonly table: string;
  readonly block: number;
  /**
   * `repair`: its contents are known from elsewhere; `expunge`: its contents are lost, and only a backup restores them.
   */
  readonly mend: 'repair' | 'expunge';
  /** The block is readable, but lacks rows that an index has entries for. */
  readonly isEmptied?: true;
}

export function mendOf(table: string): DamagedBlock['mend'] {
  return DERIVED_TABLES.has(table) ? 'repair' : 'expunge';
}

/** The unreadable blocks of all tables. @param client - in a transaction */
export async function findUnreadableBlocks(client: pg.PoolClient): Promise<DamagedBlock[]> {
  await withoutTimeLimit(client);
  const found: DamagedBlock[] = [];
  const tables = await readAllTables(client);
  if (await areAllReadable(client, tables)) return found;
  for (const table of tables) {
    const mend = mendOf(table);
    if (!(await isPlanned(client, pg.escapeIdentifier(table)))) continue;
    for (const place of [pg.escapeIdentifier(table), ...(await overflowOf(client, [table]))]) {
      if (!(await isPlanned(client, place))) continue;
      const { damaged } = await blocksOf(client, place);
      for (const block of damaged) found.push({ table, block, mend });
    }
    for (const sequence of await sequencesOf(client, [table])) {
      const read = await tryRead(client, () => client.query(`SELECT FROM ${sequence}`));
      if (read === undefined) found.push({ table, block: 0, mend });
    }
  }
  return found;
}

/** Whether every block of every table can be read: one query instead of a dozen for each, as long as nothing is damaged. */
async function areAllReadable(client: pg.PoolClient, tables: readonly string[]): Promise<boolean> {
  const all = [
    tables.map(pg.escapeIdentifier),
    await overflowOf(client, tables),
    await sequencesOf(client, tables),
  ].flat();
  const sql = all.map((place) => `SELECT count(*) FROM ${place}`).join(' UNION ALL ');
  return all.length === 0 || (await tryRead(client, () => fromTables(client, () => client.query(sql)))) !== undefined;
}

/**
 * Rows that the indexes have entries for and the tables lack: blocks of zeros, and truncated files.
 * @param client - in a transaction that may write and is rolled back
 */
export async function findLostBlocks(client: pg.PoolClient): Promise<LostOfTable[]> {
  // Created once instead of for every table.
  const hasPages = await hasExtension(client, 'pageinspect');
  const found: LostOfTable[] = [];
  for (const table of await readAllTables(client)) {
    const entries = await findLostEntries(client, table, hasPages);
    if (entries !== undefined && entries.length > 0) found.push(lostOf(table, entries));
  }
  return found;
}

/** The tables of tables' large values (TOAST), as written in SQL; only a database administrator may read them. */
async function overflowOf(client: pg.PoolClient, tables: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ place: string }>(
    `SELECT reltoastrelid::regclass::text AS place FROM pg_class
     WHERE oid = ANY ($1::regclass[]) AND reltoastrelid <> 0 AND current_setting('is_superuser') = 'on'`,
    [tables.map(pg.escapeIdentifier)],
  );
  return rows.map(({ place }) => place);
}

/** The sequences that number tables' rows, as written in SQL. */
async function sequencesOf(client: pg.PoolClient, tables: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT s.oid::regclass::text AS name FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
     WHERE s.relkind = 'S' AND d.refobjid = ANY ($1::regclass[])`,
    [tables.map(pg.escapeIdentifier)],
  );
  return rows.map(({ name }) => name);
}
