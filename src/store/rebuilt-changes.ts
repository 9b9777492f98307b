/** The change sequence, and its counter, where a part of them is lost: gapless again, and never a number twice. */
import type pg from 'pg';
import { BlocksAtHand, readBlocks } from './damaged-pages.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Rows that fit into a block at most. */
const MAX_IN_BLOCK = 300;
/** Nobody has it: whoever applies such a change finds nobody to take out. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** How many numbers up to the last one have no change. */
export async function countMissingChanges(client: Client): Promise<number> {
  const { rows } = await client.query<{ missing: string }>(
    'SELECT coalesce(max(seq), 0) - count(*) AS missing FROM change',
  );
  return Number(rows[0]?.missing);
}

/** The last change that is known of each subject. */
const LAST_CHANGES = `SELECT DISTINCT ON (subject_id) subject_id, kind, subject_version FROM change ORDER BY subject_id, seq DESC`;

/**
 * Subjects that the changes say are enrolled, and that are not there: PostgreSQL takes a block of zeros for a new one, and
 * says nothing of what had been in it.
 */
export async function vanishedSubjects(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ subject_id: string }>(
    `SELECT l.subject_id FROM (${LAST_CHANGES}) l
     WHERE l.kind = 'upsert' AND NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = l.subject_id) ORDER BY 1`,
  );
  return rows.map(({ subject_id }) => subject_id);
}

/** Whether the counter names another change than the last one. */
export async function isCounterWrong(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ wrong: boolean }>(
    `SELECT count(*) <> 1 OR min(seq) <> (SELECT coalesce(max(seq), 0) FROM change) AS wrong FROM change_counter`,
  );
  return rows[0]?.wrong === true;
}

/**
 * Makes the counter anew, from the changes. The store gets another identity with it: indexes that were built before have
 * to be built again.
 * @param lostBlocks - blocks of the changes that cannot be read: their numbers are passed over, for none may come twice
 */
export async function rebuildCounter(client: pg.PoolClient, lostBlocks: number): Promise<void> {
  await withoutTimeLimit(client);
  await client.query('LOCK TABLE change_counter IN ACCESS EXCLUSIVE MODE');
  const { readable } = await new BlocksAtHand(client).of('change');
  const read = (within: string) => `SELECT max(seq) AS last FROM change WHERE ${within}`;
  const parts = await readBlocks<{ last: string | null }>(client, readable, read);
  const last = parts.reduce((most, part) => Math.max(most, Number(part.last ?? 0)), 0);
  await client.query('TRUNCATE change_counter');
  await client.query('INSERT INTO change_counter (seq) VALUES ($1)', [last + lostBlocks * MAX_IN_BLOCK]);
}

/**
 * Enters a change for every number that has none: that of a subject whose last change is among what is lost, be it there
 * or expunged, else one that concerns nobody.
 * @returns how many
 */
export async function fillMissingChanges(client: pg.PoolClient, reason: string): Promise<number> {
  await withoutTimeLimit(client);
  const { rows } = await client.query<{ last: string }>('SELECT seq AS last FROM change_counter FOR UPDATE');
  const { rowCount } = await client.query(
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
    [rows[0]?.last ?? 0, NOBODY, reason],
  );
  return rowCount ?? 0;
}
