/** Rebuilds lost parts of the change sequence and its counter: the sequence is gapless again and reuses no number. */
import type pg from 'pg';
import { NIL } from 'uuid';
import type { Keys } from '../security/keys.ts';
import { CHANGE_FACTS, type ChangeFacts, type ChangeRow } from './change-macs.ts';
import { areSigned, changeDamages, isEnrolled, lastChanges } from './change-proofs.ts';
import { columnsOf, counterLost, insertChanges } from './changes.ts';
import { BlocksAtHand, fromTables, isPlanned, readBlocks, tryRead } from './damaged-pages.ts';
import { requireProofs } from './key-proofs.ts';
import { openMac } from './row-macs.ts';
import { SUBJECT_FACTS, type SubjectRow } from './row-shapes.ts';
import { factsOf } from './rows.ts';
import { isPossibleSubject } from './possible-rows.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Rows read at a time. */
const ROWS_PER_READ = 5000;
/** Maximum number of rows in a block. */
const MAX_IN_BLOCK = 300;
/** An id of no subject: applying such a change removes no subject. */
export const NO_SUBJECT = NIL;

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
async function lastNumber(
  client: Client,
  keys: Keys,
  tables: readonly (typeof NUMBERED)[number][] = NUMBERED,
): Promise<number> {
  let last = 0;
  const blocks = new BlocksAtHand(client);
  const isSigned = await areSigned(client, keys);
  for (const table of tables) {
    const genuine = isSigned ? await tryRead(client, () => lastWritten(client, keys, table)) : undefined;
    if (genuine !== undefined) {
      last = Math.max(last, genuine);
      continue;
    }
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

/** The highest number that a table has by this program: rows that others added above it count for nothing. */
async function lastWritten(client: Client, keys: Keys, table: (typeof NUMBERED)[number]): Promise<number> {
  if (table !== 'change') {
    // A receipt whose change is there tells nothing more than the change.
    const sql = `SELECT max(seq) AS last FROM ${table} t WHERE ${table === 'receipt' ? 'NOT EXISTS (SELECT FROM change c WHERE c.seq = t.seq)' : 'true'}`;
    const { rows } = await client.query<{ last: string | null }>(sql);
    return Number(rows[0]?.last ?? 0);
  }
  for (let below: string | null = null; ;) {
    const sql = `SELECT ${CHANGE_FACTS} FROM change WHERE $1::bigint IS NULL OR seq < $1 ORDER BY seq DESC LIMIT ${ROWS_PER_READ}`;
    const { rows }: { rows: ChangeRow[] } = await client.query<ChangeRow>(sql, [below]);
    const damages = await changeDamages(client, keys, rows);
    const found = rows.find((_, i) => damages[i] === undefined);
    if (found !== undefined) return Number(found.seq);
    below = rows.at(-1)?.seq ?? null;
    if (below === null) return 0;
  }
}

/** How many numbers up to the last assigned one have no change. */
export async function countMissingChanges(client: Client, keys: Keys): Promise<number> {
  const last = await lastNumber(client, keys);
  const counted = await readBlocks<{ count: string }>(
    client,
    ALL_BLOCKS,
    (within) => `SELECT count(*) FROM change WHERE seq BETWEEN 1 AND $1 AND ${within}`,
    [last],
  );
  return last - Number(counted[0]?.count);
}

/** Each subject's last known change. */
const LAST_CHANGES = `SELECT DISTINCT ON (subject_id) subject_id, kind, subject_version FROM change ORDER BY subject_id, subject_version DESC, seq DESC`;

/**
 * Subjects that are enrolled according to the changes but missing: PostgreSQL takes a block of zeros for a new one and
 * does not report the lost rows.
 */
export async function vanishedSubjects(client: Client, keys: Keys): Promise<string[]> {
  return (await vanished(client, keys)).map(({ subjectId }) => subjectId);
}

interface Vanished {
  readonly subjectId: string;
  readonly version: number;
}

async function vanished(client: Client, keys: Keys): Promise<Vanished[]> {
  if (await areSigned(client, keys)) {
    const named = `SELECT DISTINCT subject_id FROM change c
      WHERE NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = c.subject_id) ORDER BY 1`;
    const { rows: missing } = await fromTables(client, () => client.query<{ subject_id: string }>(named));
    const ids = missing.map(({ subject_id }) => subject_id);
    const gone: Vanished[] = [];
    for (let at = 0; at < ids.length; at += ROWS_PER_READ) {
      const some = ids.slice(at, at + ROWS_PER_READ);
      const last = await lastChanges(client, keys, some);
      for (const subjectId of some) {
        const known = last.get(subjectId);
        if (isEnrolled(known)) gone.push({ subjectId, version: typeof known === 'object' ? known.version : 0 });
      }
    }
    return gone;
  }
  const sql = `SELECT l.subject_id, l.subject_version FROM (${LAST_CHANGES}) l
     WHERE l.kind = 'upsert' AND NOT EXISTS (SELECT FROM subject s WHERE s.subject_id = l.subject_id) ORDER BY 1`;
  // An index of the subjects may still have their entries.
  const { rows } = await fromTables(client, () => client.query<{ subject_id: string; subject_version: string }>(sql));
  return rows.map(({ subject_id, subject_version }) => ({ subjectId: subject_id, version: Number(subject_version) }));
}

/** Whether the counter is missing, or lower than the last change. If it is higher, changes are lost instead. */
export async function isCounterWrong(client: Client, keys: Keys): Promise<boolean> {
  const { rows } = await client.query<{ wrong: boolean }>(
    'SELECT count(*) <> 1 OR min(seq) < $1 AS wrong FROM change_counter',
    [await lastNumber(client, keys, ['change', 'receipt'])],
  );
  return rows[0]?.wrong === true;
}

/**
 * Rebuilds the counter from every table with change numbers; it never decreases. The store gets a new identity with it:
 * existing index files must be rebuilt.
 * @param lostBlocks - number of unreadable blocks of changes. Without a counter, the numbers that these blocks and
 * empty blocks may have held are skipped: no number may be assigned twice
 */
export async function rebuildCounter(client: pg.PoolClient, keys: Keys, lostBlocks: number): Promise<void> {
  await withoutTimeLimit(client);
  await client.query('LOCK TABLE change_counter IN ACCESS EXCLUSIVE MODE');
  const last = await lastNumber(client, keys);
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
 * @throws Failure KEYS_UNREADABLE, KEY_MISSING, KEY_WRONG
 */
export async function fillMissingChanges(client: pg.PoolClient, keys: Keys, reason: string): Promise<number> {
  await withoutTimeLimit(client);
  const { rows } = await client.query<{ last: string }>('SELECT seq AS last FROM change_counter FOR UPDATE');
  const last = rows[0]?.last;
  if (last === undefined) throw counterLost();
  const holes = `SELECT g.seq FROM generate_series(1, $1::bigint) AS g(seq)
    WHERE NOT EXISTS (SELECT FROM change c WHERE c.seq = g.seq) ORDER BY g.seq DESC`;
  const { rows: missing } = await fromTables(client, () => client.query<{ seq: string }>(holes, [last]));
  if (missing.length === 0) return 0;
  const gone = await vanished(client, keys);
  const unnoted = [
    ...gone.map((one) => ({ kind: 'expunge' as const, subjectId: one.subjectId, version: one.version + 1 })),
    ...(await unnotedSubjects(client, keys)),
  ];
  const changes = filledWith(
    missing.map(({ seq }) => Number(seq)),
    unnoted,
    reason,
  );
  await insertFilled(client, keys, changes);
  return changes.length;
}

type Unnoted = Pick<ChangeFacts, 'kind' | 'subjectId' | 'version'>;

/** A change for each number: the unnoted ones, and then changes of no subject. */
export function filledWith(numbers: readonly number[], unnoted: readonly Unnoted[], reason: string): ChangeFacts[] {
  const at = new Date();
  const none: Unnoted = { kind: 'expunge', subjectId: NO_SUBJECT, version: 1 };
  return numbers.map((seq, i) => {
    const { kind, subjectId, version } = unnoted[i] ?? none;
    return { seq, kind, subjectId, version, reason, at };
  });
}

/** Subjects whose rows fit their MAC and have a version of which no change tells. */
export async function unnotedSubjects(client: Client, keys: Keys): Promise<Unnoted[]> {
  const isSigned = await areSigned(client, keys);
  const sql = `SELECT ${isSigned ? SUBJECT_FACTS : 's.subject_id, s.version'} FROM subject s
    WHERE NOT EXISTS (SELECT FROM change c WHERE c.subject_id = s.subject_id AND c.subject_version = s.version)
    ORDER BY s.subject_id`;
  const { rows } = await fromTables(client, () => client.query<SubjectRow>(sql));
  const told = isSigned ? rows.filter((row) => fits(keys, row)) : rows;
  return told.map((row) => ({ kind: 'upsert', subjectId: row.subject_id, version: Number(row.version) }));
}

function fits(keys: Keys, row: SubjectRow): boolean {
  return (
    isPossibleSubject({ ...row, galleries: [] }) && openMac(keys, { ...factsOf(row), galleries: [] }, row) !== undefined
  );
}

/** In a store whose changes are not signed yet, the next start signs them with the others. */
async function insertFilled(client: Client, keys: Keys, changes: readonly ChangeFacts[]): Promise<void> {
  if (await areSigned(client, keys)) {
    await requireProofs(client, keys);
    for (let at = 0; at < changes.length; at += ROWS_PER_READ)
      await insertChanges(client, keys, changes.slice(at, at + ROWS_PER_READ));
    return;
  }
  await client.query(
    `INSERT INTO change (seq, kind, subject_id, subject_version, reason, at)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[])`,
    columnsOf(changes),
  );
}
