/** Reads around blocks that the database reports as damaged. */
import type pg from 'pg';
import { isDamage, tableNotPlanned } from './store-damage.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Blocks of a table: `from` inclusive, `end` exclusive. */
export interface BlockRange {
  readonly from: number;
  readonly end: number;
}

/**
 * Tries to read within a transaction, which survives damage.
 * @returns undefined: the read met damage
 */
export async function tryRead<T>(client: Client, read: () => Promise<T>): Promise<T | undefined> {
  await client.query('SAVEPOINT reading');
  try {
    const result = await read();
    await client.query('RELEASE SAVEPOINT reading');
    return result;
  } catch (error) {
    if (!isDamage(error)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT reading');
    await client.query('RELEASE SAVEPOINT reading');
    return undefined;
  }
}

/** Maximum number of reads that meet damage before the rest is given up: with a damaged index, every read does. */
const ATTEMPTS = 64;

/**
 * Reads many items at once. Where that meets damage, it halves them until each unreadable item is alone. The read uses
 * an index, so an unread item may still exist: the caller searches the blocks for it.
 * @param attempts - maximum number of failed reads; the remaining items then count as unread
 * @returns the rows, and the ids that could not be read
 */
export async function readAround<Id, Row>(
  client: Client,
  ids: readonly Id[],
  read: (ids: readonly Id[]) => Promise<readonly Row[]>,
  attempts: number = ATTEMPTS,
): Promise<{ readonly rows: Row[]; readonly failed: Id[] }> {
  const [found, failed]: [Row[], Id[]] = [[], []];
  let left = attempts;
  const look = async (some: readonly Id[]): Promise<void> => {
    if (some.length === 0) return;
    const rows = left > 0 ? await tryRead(client, () => read(some)) : undefined;
    if (rows !== undefined) return void found.push(...rows);
    left--;
    if (some.length === 1 || left <= 0) return void failed.push(...some);
    const half = Math.ceil(some.length / 2);
    await look(some.slice(0, half));
    await look(some.slice(half));
  };
  await look(ids);
  return { rows: found, failed };
}

/** Makes a query scan tables and use no index, which may have entries for missing rows. */
export async function fromTables<T>(client: Client, read: () => Promise<T>): Promise<T> {
  const settings = ['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];
  const set = (value: string) => client.query(settings.map((name) => `SET LOCAL ${name} = ${value}`).join('; '));
  await set('off');
  // On an error the transaction or savepoint is rolled back, and these settings with it.
  const result = await read();
  await set('on');
  return result;
}

/** Makes a query read a table in block order, and only the blocks it names. */
async function inBlocks<T>(client: Client, read: () => Promise<T>): Promise<T> {
  const settings = ['enable_seqscan', 'enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];
  const set = (value: string) => client.query(settings.map((name) => `SET LOCAL ${name} = ${value}`).join('; '));
  await set('off');
  // On an error the transaction or savepoint is rolled back, and these settings with it.
  const result = await read();
  await set('on');
  return result;
}

/** The blocks of a table. */
export interface Blocks {
  readonly readable: readonly BlockRange[];
  readonly damaged: readonly number[];
}

/** Cached block lists of the tables that one transaction reads. */
export class BlocksAtHand {
  readonly #client: Client;
  readonly #known = new Map<string, Promise<Blocks>>();

  constructor(client: Client) {
    this.#client = client;
  }

  of(table: string): Promise<Blocks> {
    const known = this.#known.get(table) ?? blocksOf(this.#client, table);
    this.#known.set(table, known);
    return known;
  }
}

/**
 * Whether queries on a table can be planned. Planning fails when the first block of any of its indexes is damaged, even
 * an unused one.
 * @param table - as written in SQL
 */
export async function isPlanned(client: Client, table: string): Promise<boolean> {
  return (await tryRead(client, () => client.query(`EXPLAIN SELECT FROM ${table}`))) !== undefined;
}

/** Whether queries on each of these tables can be planned. @param tables - as written in SQL */
export async function arePlanned(client: Client, tables: readonly string[]): Promise<boolean> {
  if (tables.length === 0) return true;
  const all = tables.map((table) => `SELECT 1 FROM ${table}`).join(' UNION ALL ');
  return (await tryRead(client, () => client.query(`EXPLAIN ${all}`))) !== undefined;
}

/**
 * Finds the readable blocks of a table by halving.
 * @param table - as written in SQL
 * @throws Failure STORE_DAMAGED when an index prevents it: the table must not be taken for unreadable
 */
export async function blocksOf(client: Client, table: string): Promise<Blocks> {
  if (!(await isPlanned(client, table))) throw tableNotPlanned(table);
  const { rows } = await client.query<{ blocks: string }>(
    `SELECT pg_relation_size('${table.replaceAll("'", "''")}') / current_setting('block_size')::int AS blocks`,
  );
  const [readable, damaged]: [BlockRange[], number[]] = [[], []];
  const look = async (range: BlockRange): Promise<void> => {
    if (range.from === range.end) return;
    const sql = `SELECT count(*) FROM ${table} WHERE ${within(range)}`;
    if ((await tryRead(client, () => inBlocks(client, () => client.query(sql)))) !== undefined) {
      readable.push(range);
    } else if (range.end - range.from === 1) {
      damaged.push(range.from);
    } else {
      const middle = Math.floor((range.from + range.end) / 2);
      await look({ from: range.from, end: middle });
      await look({ from: middle, end: range.end });
    }
  };
  await look({ from: 0, end: Number(rows[0]?.blocks) });
  return { readable, damaged };
}

/** Runs a query on each range of blocks. @param sql - receives a condition on `ctid` */
export async function readBlocks<Row extends pg.QueryResultRow>(
  client: Client,
  ranges: readonly BlockRange[],
  sql: (condition: string) => string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const found: Row[] = [];
  for (const range of ranges) {
    const { rows } = await inBlocks(client, () => client.query<Row>(sql(within(range)), [...values]));
    for (const row of rows) found.push(row);
  }
  return found;
}

function within({ from, end }: BlockRange): string {
  return `ctid >= '(${from},0)'::tid AND ctid < '(${end},0)'::tid`;
}
