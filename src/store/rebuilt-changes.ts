/** Rebuilds lost parts of the change sequence and its counter: the sequence is gapless again and reuses no number. */
import type pg from 'pg';
import { counterLost } from './changes.ts';
import { BlocksAtHand, fromTables, isPlanned, readBlocks, tryRead } from './damaged-pages.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Maximum number of rows in a block. */
const MAX_IN_BLOCK = 300;
/** An id of no subject: applying such a change removes no subject. */
const NO_SUBJECT = '00000000-0000-0000-0000-000000000000';

/** All tables that contain change numbers. */
const NUMBERED = ['change_counter', 'change', 'receipt'] as const;
/**
 * More blocks than a table can have. The condition prevents an index scan, which would count entries of missing rows.
 */
const ALL_BLOCKS = [{ from: 0, end: 2 ** 32 - 1 }];

/**
 * The highest change number ever assigned, according to every readable table with such numbers. Normally the counter
 * has the highest; the other tables cover a damaged counter.
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

/** How many numbers up to the last assigned one have no change. */
export async function countMissingChanges(client: Client): Promise<number> {
  const counted = await readBlocks<{ count: string }>(
    client,
    ALL_BLOCKS,
    (within) => `SELECT count(*) FROM change WHERE ${within}`,
  );
  return (await lastNumber(client)) - Number(counted[0]?.count);
}

/** Each subject's last known change. */
const LAST_CHANGES = `SELECT DISTINCT ON (subject_id) subject_id, kind, subject_version FROM change ORDER BY subject_id, seq DESC`;

/**
 * Subjects that are enrolled according to the changes but missing: PostgreSQL takes a block of zeros for a new one and
 * does not report the lost rows.
 */
export async function vanishedSubjects(client: Client): Promise<string[]> {
  const sql = `SELECT l.subject_id FROM (${LAST_CHANGES}) l
     WHERE l.kind = 'upsert' AND NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = l.subject_id) ORDER BY 1`;
  // An index of the subjects may still have their entries.
  const { rows } = await fromTables(client, () => client.query<{ subject_id: string }>(sql));
  return rows.map(({ subject_id }) => subject_id);
}

/** Whether the counter is missing, or lower than the last change. If it is higher, changes are lost instead. */
export async function isCounterWrong(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ wrong: boolean }>(
    'SELECT count(*) <> 1 OR min(seq) < $1 AS wrong FROM change_counter',
    [await lastNumber(client, ['change', 'receipt'])],
  );
  return rows[0]?.wrong === true;
}

/**
 * Rebuilds the counter from every table with change numbers; it never decreases. The store gets a new identity with it:
 * existing index files must be rebuilt.
 * @param lostBlocks - number of unreadable blocks of changes. Without a counter, the numbers that these blocks and
 * empty blocks may have held are skipped: no number may be assigned twice
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

/** Readable blocks without changes: changes are never deleted, so damage emptied these blocks. */
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
 * Inserts a change for every number without one. It names a subject whose last change is lost, whether the subject
 * exists or was expunged; otherwise no subject.
 * @returns the number of inserted changes
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
