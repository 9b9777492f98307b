/** Finds damaged indexes and rebuilds them. An index holds nothing that its table does not hold. */
import pg from 'pg';
import { hasExtension } from './database-extensions.ts';
import { arePlanned, isPlanned } from './damaged-pages.ts';
import { findLostEntries } from './lost-places.ts';
import { EACH_BLOCK, HAS_EMPTY, soundOf, type Examined } from './sound-indexes.ts';
import { damagedPlaceOf, isDamage, tableFileMissing } from './store-damage.ts';
import { readAllTables } from './tables.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** A damaged index. */
export interface DamagedIndex {
  /** The index's name as written in SQL. */
  readonly index: string;
  /** The indexed table; for an index of large values (TOAST), the table that owns them. */
  readonly table: string;
  /** The damaged block; undefined: the database does not report one. */
  readonly block: number | undefined;
}

/** Outcome for a damaged index. */
export interface Rebuilt extends DamagedIndex {
  /**
   * `rebuilt`; `table-damaged`: the table must be mended first; `duplicates`: rows violate uniqueness; `forbidden`: the
   * database user lacks the right.
   */
  readonly outcome: 'rebuilt' | 'table-damaged' | 'duplicates' | 'forbidden';
}

interface IndexRow extends Examined {
  readonly index: string;
  readonly table: string;
  /** False for an index without blocks: its file is missing or was truncated. */
  readonly is_usable: boolean;
  readonly is_overflow: boolean;
  readonly file: string;
}

const UNIQUE_VIOLATION = '23505';
const FORBIDDEN = '42501';
const OBJECT_MISSING = /^(42|0A|58P01$)/;
const READ_BLOCKS = `SELECT ${HAS_EMPTY} AS empty FROM (SELECT $1::oid AS oid) o, ${EACH_BLOCK}`;

/**
 * Finds the damaged indexes.
 * @param client - in a transaction that is rolled back: it creates extensions
 * @param how - `blocks`: reads every block, as far as the database user may; `entries`: also compares entries with the
 * tables
 * @throws Failure STORE_DAMAGED when the file of a table is missing: its indexes are not the cause and must be kept
 */
export async function findDamagedIndexes(client: Client, how: 'blocks' | 'entries'): Promise<DamagedIndex[]> {
  const found: DamagedIndex[] = [];
  const hasPages = await hasExtension(client, 'pageinspect');
  const hasCheck = await hasExtension(client, 'amcheck');
  const tables = await readAllTables(client);
  const indexes = await indexesOf(client, tables);
  const areReadable = await arePlanned(client, tables.map(pg.escapeIdentifier));
  const isChecked = hasPages && (how === 'blocks' || hasCheck);
  const usable = indexes.filter(({ is_usable }) => is_usable);
  const sound = isChecked ? await soundOf(client, usable, how === 'entries') : new Set<number>();
  const byTable = Map.groupBy(indexes, ({ table }) => table);
  for (const table of tables) {
    const all = byTable.get(table) ?? [];
    const isReadable = areReadable || (await isPlanned(client, pg.escapeIdentifier(table)));
    if (!isReadable) await requireFile(client, table);
    for (const one of all) {
      if (sound.has(one.oid)) continue;
      const damage = await damageOf(client, one, { how, hasPages, hasCheck, isReadable });
      if (damage !== undefined) found.push({ index: one.index, table, block: damage.block });
    }
    // The index with the damaged first block cannot be identified, so all of them are rebuilt.
    if (!isReadable && !found.some((one) => one.table === table))
      found.push(...all.filter((one) => !one.is_overflow).map(({ index }) => ({ index, table, block: 0 })));
  }
  return found;
}

/** @throws Failure STORE_DAMAGED */
async function requireFile(client: Client, table: string): Promise<void> {
  const name = pg.escapeIdentifier(table);
  const { rows } = await client.query<{ file: string }>('SELECT pg_relation_filepath($1::regclass) AS file', [name]);
  await client.query('SAVEPOINT opening');
  try {
    await client.query(`EXPLAIN SELECT FROM ${name}`);
  } catch (error) {
    const { file, block } = damagedPlaceOf(error);
    if (block === undefined && file !== undefined && file === rows[0]?.file) throw tableFileMissing(table, file);
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT opening');
  }
}

interface Means {
  readonly how: 'blocks' | 'entries';
  readonly hasPages: boolean;
  readonly hasCheck: boolean;
  readonly isReadable: boolean;
}

async function damageOf(
  client: Client,
  one: IndexRow,
  means: Means,
): Promise<{ block: number | undefined } | undefined> {
  if (!one.is_usable) return { block: undefined };
  if (means.hasPages) {
    const read = await attempt(client, one, () => client.query<{ empty: boolean }>(READ_BLOCKS, [one.oid]));
    if (typeof read === 'string') return { block: blockOf(read) };
    if (means.how === 'blocks' && read?.rows[0]?.empty !== true) return undefined;
  } else if (means.how === 'blocks') {
    return undefined;
  }
  if (means.hasCheck) {
    const sound = await attempt(client, one, () => client.query('SELECT bt_index_check($1::oid::regclass)', [one.oid]));
    if (typeof sound === 'string') return { block: blockOf(sound) };
    if (sound !== undefined) {
      // Damage of the table ends this check, too, and proves nothing about the index.
      const sql = 'SELECT bt_index_check($1::oid::regclass, true)';
      const whole = await attempt(client, one, () => client.query(sql, [one.oid]), 'XX002');
      return typeof whole === 'string' ? { block: blockOf(whole) } : undefined;
    }
  }
  if (!means.isReadable || one.is_overflow) return undefined;
  const scanned = await scan(client, one);
  return typeof scanned === 'string' ? { block: blockOf(scanned) } : undefined;
}

/**
 * Reads a table's rows through an index, which every user of the table may do. Only errors that name the index count.
 */
async function scan(client: Client, { oid, index, table }: IndexRow): Promise<unknown> {
  const { rows } = await client.query<{ columns: string; condition: string | null; file: string }>(
    `SELECT string_agg(pg_get_indexdef(indexrelid, n, true), ', ' ORDER BY n) AS columns,
       min(pg_get_expr(indpred, indrelid)) AS condition, min(pg_relation_filepath(indexrelid)) AS file
     FROM pg_index, generate_series(1, indnkeyatts) n WHERE indexrelid = $1`,
    [oid],
  );
  const [{ columns, condition, file } = { columns: '', condition: null, file: '' }] = rows;
  const sql = `SELECT count(*) FROM (SELECT FROM ${pg.escapeIdentifier(table)} WHERE ${condition ?? 'true'} ORDER BY ${columns} OFFSET 0) s`;
  const blames = (place: Record<string, string>) =>
    place['file'] === file || place['index'] === index.replaceAll('"', '');
  await client.query('SAVEPOINT scanning');
  const set = (value: string) =>
    `SET LOCAL enable_seqscan = ${value}; SET LOCAL enable_sort = ${value}; SET LOCAL enable_bitmapscan = ${value}`;
  try {
    await client.query(set('off'));
    await client.query(sql);
    return undefined;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return blames(damagedPlaceOf(error)) ? String(damagedPlaceOf(error)['block'] ?? '') : undefined;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT scanning');
  }
}

/**
 * Runs one check of an index.
 * @returns the damaged block, or an empty text without one; undefined: the check is not possible
 */
async function attempt<T>(
  client: Client,
  { file }: IndexRow,
  look: () => Promise<T>,
  only?: string,
): Promise<T | string | undefined> {
  await client.query('SAVEPOINT looking');
  try {
    const result = await look();
    await client.query('RELEASE SAVEPOINT looking');
    return result;
  } catch (error) {
    const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
    if (!/^(XX|42|0A|58P01$|22|54)/.test(code)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT looking');
    if (OBJECT_MISSING.test(code) || (only !== undefined && code !== only)) return undefined;
    const place = damagedPlaceOf(error);
    // Damage elsewhere, for example in the catalogue, proves nothing about this index.
    if (place['file'] !== undefined && place['file'] !== file) throw error;
    return place['block'] ?? '';
  }
}

function blockOf(text: string): number | undefined {
  return text === '' ? undefined : Number(text);
}

/** The indexes of tables, by table and name. */
async function indexesOf(client: Client, tables: readonly string[]): Promise<IndexRow[]> {
  const { rows } = await client.query<IndexRow>(
    `SELECT i.indexrelid::regclass::text AS index, n.name AS "table", i.indexrelid AS oid,
       (pg_relation_size(i.indexrelid) / current_setting('block_size')::int)::int AS blocks, a.amname = 'btree' AS is_btree,
       i.indisvalid AND i.indisready AND pg_relation_size(i.indexrelid) > 0 AS is_usable, i.indrelid <> t.oid AS is_overflow,
       pg_relation_filepath(i.indexrelid) AS file
     FROM unnest($1::text[], $2::text[]) AS n(name, quoted) JOIN pg_class t ON t.oid = n.quoted::regclass
       JOIN pg_index i ON i.indrelid IN (t.oid, t.reltoastrelid)
       JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
     ORDER BY 2, 1`,
    [tables, tables.map(pg.escapeIdentifier)],
  );
  return rows;
}

/** Whether the indexes of a table have entries for rows that the table lacks. A rebuild would drop these entries. */
async function isEvidence(client: Client, table: string): Promise<boolean> {
  await client.query('BEGIN');
  try {
    return ((await findLostEntries(client, table)) ?? []).length > 0;
  } finally {
    await client.query('ROLLBACK');
  }
}

/**
 * Rebuilds damaged indexes from their tables, except where the indexes have entries for rows that the table lacks.
 * Writers to the table wait meanwhile.
 * @param client - outside a transaction; not reusable afterwards
 */
export async function rebuildIndexes(client: Client, damaged: readonly DamagedIndex[]): Promise<Rebuilt[]> {
  // With parallel workers, planning would read the first blocks of all indexes.
  await client.query('SET statement_timeout = 0; SET max_parallel_maintenance_workers = 0');
  const done: Rebuilt[] = [];
  for (const one of damaged) {
    if (await isEvidence(client, one.table)) {
      done.push({ ...one, outcome: 'table-damaged' });
      continue;
    }
    try {
      await client.query(`REINDEX INDEX ${one.index}`);
      done.push({ ...one, outcome: 'rebuilt' });
    } catch (error) {
      const code = error instanceof pg.DatabaseError ? error.code : undefined;
      if (isDamage(error)) done.push({ ...one, outcome: 'table-damaged' });
      else if (code === UNIQUE_VIOLATION) done.push({ ...one, outcome: 'duplicates' });
      else if (code === FORBIDDEN) done.push({ ...one, outcome: 'forbidden' });
      else throw error;
    }
  }
  for (const one of done) if (one.outcome === 'table-damaged') await setAside(client, one.index);
  return done;
}

/**
 * Marks an index invalid that cannot be rebuilt before its table is mended: queries then read the table. This takes a
 * database administrator. A rebuild makes the index valid again.
 */
async function setAside(client: Client, index: string): Promise<void> {
  const { rows } = await client.query<{ may: string }>("SELECT current_setting('is_superuser') AS may");
  if (rows[0]?.may !== 'on') return;
  await client.query('UPDATE pg_index SET indisvalid = false WHERE indexrelid = $1::regclass', [index]);
}
