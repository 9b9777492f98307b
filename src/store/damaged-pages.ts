/** Reading around what the database itself calls damaged. */
import type pg from 'pg';
import { isDamage, tableNotPlanned } from './store-failure.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Blocks of a table, from the first to before the end. */
export interface BlockRange {
  readonly from: number;
  readonly end: number;
}

/**
 * Tries to read within a transaction, which goes on where that meets damage.
 * @returns undefined: it met damage
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

/** Attempts that may meet damage before the rest is given up: with a damaged index every one of them does. */
const ATTEMPTS = 64;

/**
 * Reads many things together, and where that meets damage halves of them, until what cannot be read is alone. Things are
 * found by an index, so what is not read this way may still be there: the asker looks for it in the blocks.
 * @param attempts - that may fail; what is left then counts as not read
 * @returns what was read, and what could not be
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

/** Makes a query read tables whole, and no index, which may know of rows that are not there. */
export async function fromTables<T>(client: Client, read: () => Promise<T>): Promise<T> {
  const settings = ['enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];
  const set = (value: string) => client.query(settings.map((name) => `SET LOCAL ${name} = ${value}`).join('; '));
  await set('off');
  // Where this throws the transaction, or the part of it, is rolled back, and the settings with it.
  const result = await read();
  await set('on');
  return result;
}

/** Makes a query read a table in the order of its blocks, and nothing but those that it names. */
async function inBlocks<T>(client: Client, read: () => Promise<T>): Promise<T> {
  const settings = ['enable_seqscan', 'enable_indexscan', 'enable_indexonlyscan', 'enable_bitmapscan'];
  const set = (value: string) => client.query(settings.map((name) => `SET LOCAL ${name} = ${value}`).join('; '));
  await set('off');
  // Where this throws the transaction, or the part of it, is rolled back, and the settings with it.
  const result = await read();
  await set('on');
  return result;
}

/** The blocks of a table. */
export interface Blocks {
  readonly readable: readonly BlockRange[];
  readonly damaged: readonly number[];
}

/** The blocks of the tables that one transaction reads, each looked at once. */
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
 * Whether queries of a table can be planned: they cannot where the first block of an index of it is damaged, though they
 * would not use that index.
 * @param table - as SQL has it
 */
export async function isPlanned(client: Client, table: string): Promise<boolean> {
  return (await tryRead(client, () => client.query(`EXPLAIN SELECT FROM ${table}`))) !== undefined;
}

/**
 * Which blocks of a table can be read, found by halving.
 * @param table - as SQL has it
 * @throws Failure STORE_DAMAGED where this cannot be said because of an index: the table must not be taken for unreadable
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

/** Runs a query about the rows in each of the blocks. @param sql - given a condition about `ctid` */
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
