/**
 * Checks many small indexes in few queries. Nearly always all of them are sound, and a store has dozens: a start would
 * wait for several queries for each.
 */
import pg from 'pg';

type Client = Pick<pg.ClientBase, 'query'>;

/** What is known of an index before its blocks are read. */
export interface Examined {
  readonly oid: number;
  readonly blocks: number;
  readonly is_btree: boolean;
}

/** Blocks of the indexes that are checked together, and of any one of them: no more than a second's work. */
const MAX_BLOCKS = 4096;
const MAX_OWN_BLOCKS = 256;

/** Whether any block is empty (`pd_upper`, at byte 14, is 0): PostgreSQL takes empty blocks for new ones. */
export const HAS_EMPTY = 'coalesce(bool_or(get_byte(p.page, 14) = 0 AND get_byte(p.page, 15) = 0), false)';
/** Reads every block of the index `oid` of a relation `o`, which verifies its checksum. */
export const EACH_BLOCK = `generate_series(0, pg_relation_size(o.oid) / current_setting('block_size')::int - 1) AS n(block),
    LATERAL (SELECT get_raw_page(o.oid::regclass::text, n.block) AS page OFFSET 0) p`;

/**
 * The indexes that were found sound. The others are to be looked at one by one.
 * @param client - in a transaction, with pageinspect, and amcheck for entries
 * @param withEntries - compare entries with the tables as well
 */
export async function soundOf(
  client: Client,
  indexes: readonly Examined[],
  withEntries: boolean,
): Promise<ReadonlySet<number>> {
  const some: number[] = [];
  let blocks = 0;
  for (const one of indexes) {
    if (one.blocks === 0 || one.blocks > MAX_OWN_BLOCKS || (withEntries && !one.is_btree)) continue;
    if ((blocks += one.blocks) > MAX_BLOCKS) break;
    some.push(one.oid);
  }
  await client.query('SAVEPOINT examining');
  try {
    const { rows } = await client.query<{ oid: number }>(
      `SELECT o.oid FROM unnest($1::oid[]) AS o(oid), ${EACH_BLOCK} GROUP BY o.oid HAVING NOT ${HAS_EMPTY}`,
      [some],
    );
    const read = rows.map(({ oid }) => oid);
    if (withEntries) await client.query('SELECT bt_index_check(o::regclass, true) FROM unnest($1::oid[]) AS o', [read]);
    await client.query('RELEASE SAVEPOINT examining');
    return new Set(read);
  } catch (error) {
    // One of them is damaged, or takes too long.
    if (!(error instanceof pg.DatabaseError)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT examining; RELEASE SAVEPOINT examining');
    return new Set();
  }
}
