/**
 * Finds rows that an index has an entry for and the table lacks. PostgreSQL takes a block of zeros for a new block, and
 * a truncated file for a shorter table, and reports neither as an error.
 */
import pg from 'pg';
import { hasExtension } from './database-extensions.ts';
import { tryRead } from './damaged-pages.ts';
import { forEachEntry, hasRow, type Place } from './index-pages.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** An index entry that leads to no row. */
export interface LostEntry extends Place {
  readonly index: string;
  readonly key: Buffer;
}

const LOCK_NOT_AVAILABLE = '55P03';
/** Blocks per read. */
const CHUNK = 512;
/** Maximum number of rows in a block, as bits and bytes. */
const MAX_ROWS = 320;
const BYTES = MAX_ROWS / 8;
/** A block up to the end of its row pointers; the rows themselves are not needed. */
const HEAD = 'substring(page FROM 1 FOR get_byte(page, 12) + 256 * get_byte(page, 13))';

/**
 * Finds the index entries of a table that lead to no row.
 * @param client - in a transaction that may write and is rolled back: it creates an extension, and locks the table
 * against vacuuming; writers are not blocked
 * @param table - its name
 * @param hasPages - whether `pageinspect` is at hand; undefined: it is looked for
 * @returns undefined: the database user lacks the right
 */
export async function findLostEntries(
  client: Client,
  table: string,
  hasPages?: boolean,
): Promise<LostEntry[] | undefined> {
  await client.query('SAVEPOINT comparing');
  try {
    await withoutTimeLimit(client);
    if (!(hasPages ?? (await hasExtension(client, 'pageinspect')))) return undefined;
    await client.query(`LOCK TABLE ${pg.escapeIdentifier(table)} IN SHARE UPDATE EXCLUSIVE MODE`);
    return await compare(client, table);
  } catch (error) {
    // Another session is vacuuming the table: no result is possible now.
    if (error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE) return undefined;
    throw error;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT comparing; RELEASE SAVEPOINT comparing');
  }
}

async function compare(client: Client, table: string): Promise<LostEntry[]> {
  const { rows: indexes } = await client.query<{ name: string }>(
    `SELECT i.indexrelid::regclass::text AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     JOIN pg_am a ON a.oid = c.relam WHERE i.indrelid = $1::regclass AND a.amname = 'btree' AND i.indisready
     ORDER BY i.indisprimary DESC, 1`,
    [pg.escapeIdentifier(table)],
  );
  const known = new Places();
  const doubtful = new Set<string>();
  for (const { name } of indexes) {
    const own = new Places();
    await forEachPage(client, name, 'page', (page) =>
      forEachEntry(page, (place) => {
        // Two entries of one index lead to one place: one of them belongs to an earlier row, which is lost.
        if (own.has(place)) doubtful.add(nameOf(place));
        own.add(place);
        known.add(place);
      }),
    );
  }
  const lost = await placesWithout(client, table, known);
  if (lost.size + doubtful.size === 0) return [];
  const found: LostEntry[] = [];
  for (const { name } of indexes) {
    const twice = new Map<string, LostEntry[]>();
    await forEachPage(client, name, 'page', (page) =>
      forEachEntry(page, (place, key) => {
        const at = nameOf(place);
        if (!lost.has(at) && !doubtful.has(at)) return;
        const one = { index: name, ...place, key: Buffer.from(key()) };
        if (lost.has(at)) found.push(one);
        else twice.set(at, [...(twice.get(at) ?? []), one]);
      }),
    );
    // An entry that was moved during the scan and met twice counts once.
    for (const own of twice.values()) if (own.some(({ key }) => !key.equals(own[0]?.key ?? key))) found.push(...own);
  }
  return found;
}

/** The known places that hold no row, without those in unreadable blocks. */
async function placesWithout(client: Client, table: string, known: Places): Promise<Set<string>> {
  const lost = new Set<string>();
  const note = (block: number, row: number) => lost.add(nameOf({ block, row }));
  const name = pg.escapeIdentifier(table);
  const end = await forEachPage(client, name, HEAD, (head, block) => {
    for (const row of known.rowsIn(block)) if (!hasRow(head, row)) note(block, row);
  });
  for (let block = end; block < known.end; block++) for (const row of known.rowsIn(block)) note(block, row);
  return lost;
}

function nameOf({ block, row }: Place): string {
  return `${block},${row}`;
}

/**
 * Reads a table or an index block by block, except for unreadable blocks.
 * @param relation - as written in SQL
 * @returns the number of blocks
 */
async function forEachPage(
  client: Client,
  relation: string,
  part: string,
  take: (page: Buffer, block: number) => void,
): Promise<number> {
  const sql = `SELECT s.blocks, n.block, ${part} AS page
    FROM (SELECT (pg_relation_size($1::text::regclass) / current_setting('block_size')::int)::int AS blocks) s,
      generate_series($2::int, least($3::int, s.blocks) - 1) AS n(block),
      LATERAL (SELECT get_raw_page($1::text, n.block) AS page OFFSET 0) p`;
  const read = (from: number, end: number) =>
    tryRead(client, () => client.query<{ blocks: number; block: number; page: Buffer }>(sql, [relation, from, end]));
  const look = async (from: number, end: number): Promise<number> => {
    if (from >= end) return 0;
    const found = await read(from, end);
    if (found !== undefined) {
      for (const { block, page } of found.rows) take(page, block);
      return found.rows[0]?.blocks ?? 0;
    }
    if (end - from === 1) return 0;
    const middle = Math.floor((from + end) / 2);
    return Math.max(await look(from, middle), await look(middle, end));
  };
  // Most have few blocks: how many is read with the first ones, and alone only where these cannot be read.
  const blocks = (await look(0, CHUNK)) || (await blocksOf(client, relation));
  for (let from = CHUNK; from < blocks; from += CHUNK) await look(from, Math.min(from + CHUNK, blocks));
  return blocks;
}

async function blocksOf(client: Client, relation: string): Promise<number> {
  const { rows } = await client.query<{ blocks: number }>(
    `SELECT (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int AS blocks`,
    [relation],
  );
  return rows[0]?.blocks ?? 0;
}

/** A set of row places with one bit for each: a large table has millions. */
class Places {
  readonly #byBlock = new Map<number, Uint8Array>();
  /** One past the last block in the set. */
  end = 0;

  add({ block, row }: Place): void {
    if (row >= MAX_ROWS) return;
    const own = this.#byBlock.get(block) ?? new Uint8Array(BYTES);
    own[row >> 3] = (own[row >> 3] ?? 0) | (1 << (row & 7));
    this.#byBlock.set(block, own);
    this.end = Math.max(this.end, block + 1);
  }

  has({ block, row }: Place): boolean {
    return ((this.#byBlock.get(block)?.[row >> 3] ?? 0) & (1 << (row & 7))) !== 0;
  }

  *rowsIn(block: number): Generator<number> {
    const own = this.#byBlock.get(block);
    if (own === undefined) return;
    for (let row = 1; row < MAX_ROWS; row++) if (((own[row >> 3] ?? 0) & (1 << (row & 7))) !== 0) yield row;
  }
}
