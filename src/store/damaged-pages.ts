/** Reading around what the database itself calls damaged. */
import type pg from 'pg';
import { isDamage } from './store-failure.ts';

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

/**
 * Reads many things together, and where that meets damage halves of them, until what cannot be read is alone.
 * @returns what was read, and what could not be
 */
export async function readAround<Id, Row>(
  client: Client,
  ids: readonly Id[],
  read: (ids: readonly Id[]) => Promise<readonly Row[]>,
): Promise<{ readonly rows: Row[]; readonly failed: Id[] }> {
  if (ids.length === 0) return { rows: [], failed: [] };
  const rows = await tryRead(client, () => read(ids));
  if (rows !== undefined) return { rows: [...rows], failed: [] };
  if (ids.length === 1) return { rows: [], failed: [...ids] };
  const half = Math.ceil(ids.length / 2);
  const front = await readAround(client, ids.slice(0, half), read);
  const back = await readAround(client, ids.slice(half), read);
  return { rows: [...front.rows, ...back.rows], failed: [...front.failed, ...back.failed] };
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

/**
 * Which blocks of a table can be read, found by halving.
 * @param table - as SQL has it
 */
export async function blocksOf(
  client: Client,
  table: string,
): Promise<{ readonly readable: BlockRange[]; readonly damaged: number[] }> {
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
