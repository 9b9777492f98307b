/** The change sequence, and its counter, where a part of them is lost: gapless again, and never a number twice. */
import type pg from 'pg';
import { counterLost } from './changes.ts';
import { BlocksAtHand, fromTables, isPlanned, readBlocks, tryRead } from './damaged-pages.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Rows that fit into a block at most. */
const MAX_IN_BLOCK = 300;
/** No subject has it: applying such a change takes no subject out. */
const NO_SUBJECT = '00000000-0000-0000-0000-000000000000';

/** Every table that holds numbers of changes. */
const NUMBERED = ['change_counter', 'change', 'receipt'] as const;
/** More blocks than a table can have: an index would count what it knows of, and not what is there. */
const ALL_BLOCKS = [{ from: 0, end: 2 ** 32 - 1 }];

/**
 * The greatest number of a change that was given, as far as any table can be read that holds some. The counter is the
 * last to be believed and the first: none comes after it, unless it was damaged itself.
 */
async function lastNumber(client: Client, tables: readonly (typeof NUMBERED)[number][] = NUMBERED): Promise<number> {
  let last = 0;
  const blocks = new BlocksAtHand(client);
  for (const table of tables) {
    const sql = `SELECT max(seq) AS last FROM ${table}`;
    const whole = await tryRead(client, () => client.query<{ last: string | null }>(sql));
    const isRead = whole !== undefined || !(await isPlanned(client, table));
    const parts = isRead
      ? (whole?.rows ?? [])
      : await readBlocks<{ last: string | null }>(
          client,
          (await blocks.of(table)).readable,
          (within) => `${sql} WHERE ${within}`,
        );
    for (const part of parts) last = Math.max(last, Number(part.last ?? 0));
  }
  return last;
}

/** How many numbers up to the last one that was given have no change. */
export async function countMissingChanges(client: Client): Promise<number> {
  const counted = await readBlocks<{ count: string }>(
    client,
    ALL_BLOCKS,
    (within) => `SELECT count(*) FROM change WHERE ${within}`,
  );
  return (await lastNumber(client)) - Number(counted[0]?.count);
}

/** The last change that is known of each subject. */
const LAST_CHANGES = `SELECT DISTINCT ON (subject_id) subject_id, kind, subject_version FROM change ORDER BY subject_id, seq DESC`;

/**
 * Subjects that the changes say are enrolled, and that are not there: PostgreSQL takes a block of zeros for a new one, and
 * says nothing of what had been in it.
 */
export async function vanishedSubjects(client: Client): Promise<string[]> {
  const sql = `SELECT l.subject_id FROM (${LAST_CHANGES}) l
     WHERE l.kind = 'upsert' AND NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = l.subject_id) ORDER BY 1`;
  // An index of the subjects would still say that they are there.
  const { rows } = await fromTables(client, () => client.query<{ subject_id: string }>(sql));
  return rows.map(({ subject_id }) => subject_id);
}

/**
 * Whether the counter is gone, or names a change before the last one. Where it names a later one, it is the changes that
 * are lost.
 */
export async function isCounterWrong(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ wrong: boolean }>(
    'SELECT count(*) <> 1 OR min(seq) < $1 AS wrong FROM change_counter',
    [await lastNumber(client, ['change', 'receipt'])],
  );
  return rows[0]?.wrong === true;
}

/**
 * Makes the counter anew, from everything that holds numbers of changes; never lower than it was. The store gets another identity with it: indexes that were built before have
 * to be built again.
 * @param lostBlocks - blocks of the changes that cannot be read. Their numbers, and those of blocks in which nothing is,
 * are passed over where no counter says how many there were: none may come twice
 */
export async function rebuildCounter(client: pg.PoolClient, lostBlocks: number): Promise<void> {
  await withoutTimeLimit(client);
  await client.query('LOCK TABLE change_counter IN ACCESS EXCLUSIVE MODE');
  const last = await lastNumber(client);
  const counter = await tryRead(client, () => client.query('SELECT FROM change_counter'));
  const passed = counter?.rowCount === 1 ? 0 : (lostBlocks + (await countEmptyBlocks(client))) * MAX_IN_BLOCK;
  await client.query('TRUNCATE change_counter');
  await client.query('INSERT INTO change_counter (seq) VALUES ($1)', [last + passed]);
}

/** Blocks of the changes that can be read, and hold none: changes are never removed, so something else did it. */
async function countEmptyBlocks(client: Client): Promise<number> {
  const { readable } = await new BlocksAtHand(client).of('change');
  const parts = await readBlocks<{ filled: string }>(
    client,
    readable,
    (within) => `SELECT count(DISTINCT (ctid::text::point)[0]) AS filled FROM change WHERE ${within}`,
  );
  const filled = parts.reduce((sum, part) => sum + Number(part.filled), 0);
  return readable.reduce((sum, { from, end }) => sum + end - from, 0) - filled;
}

/**
 * Enters a change for every number that has none: that of a subject whose last change is among what is lost, be it there
 * or expunged, else one that concerns no subject.
 * @returns how many
 */
export async function fillMissingChanges(client: pg.PoolClient, reason: string): Promise<number> {
  await withoutTimeLimit(client);
  const { rows } = await client.query<{ last: string }>('SELECT seq AS last FROM change_counter FOR UPDATE');
  const last = rows[0]?.last;
  if (last === undefined) throw counterLost();
  const fill = () =>
    client.query(
      `WITH missing AS (
       SELECT g.seq, row_number() OVER (ORDER BY g.seq DESC) AS n
       FROM generate_series(1, $1::bigint) AS g(seq) WHERE NOT EXISTS (SELECT FROM change c WHERE c.seq = g.seq)
     ), unnoted AS (
       SELECT 'expunge' AS kind, l.subject_id, l.subject_version + 1 AS version FROM (${LAST_CHANGES}) l
       WHERE l.kind = 'upsert' AND NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = l.subject_id)
       UNION ALL SELECT 'upsert', s.subject_id, s.version FROM subject s
       WHERE NOT EXISTS (SELECT FROM change c WHERE c.subject_id = s.subject_id AND c.subject_version = s.version)
     ), numbered AS (SELECT *, row_number() OVER (ORDER BY kind, subject_id) AS n FROM unnoted)
     INSERT INTO change (seq, kind, subject_id, subject_version, reason, at)
     SELECT m.seq, coalesce(u.kind, 'expunge'), coalesce(u.subject_id, $2), coalesce(u.version, 1), $3, now()
     FROM missing m LEFT JOIN numbered u USING (n)`,
      [last, NO_SUBJECT, reason],
    );
  const { rowCount } = await fromTables(client, fill);
  return rowCount ?? 0;
}
