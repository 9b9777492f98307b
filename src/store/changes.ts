/** The change sequence: gapless, in commit order. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { keyMissing } from '../security/key-ring.ts';
import type { Keys } from '../security/keys.ts';
import { CHANGE_FACTS, changeMac, type ChangeFacts, type ChangeRow } from './change-macs.ts';
import { changeDamages } from './change-proofs.ts';
import type { Change } from './records.ts';

/** NOTIFY channel that carries the latest change number. */
export const CHANGE_CHANNEL = 'ridgewatch_change';

export interface NewChange {
  readonly kind: 'upsert' | 'expunge';
  readonly subjectId: string;
  readonly version: number;
  readonly reason?: string;
}

/** Rows above the counter that are passed over at a time. */
const MAX_PASSED = 10_000;

/**
 * Appends changes. This locks the counter's row, and thereby blocks every other writer, until the transaction ends. It
 * must be the last step before the commit.
 * @param client - that holds the keys, see holdKeys
 * @returns the number of the first one; the others follow without a gap
 * @throws Failure CHANGE_NUMBERS_TAKEN; KEY_MISSING: the database does not know the current key
 */
export async function appendChanges(
  client: pg.PoolClient,
  keys: Keys,
  changes: readonly NewChange[],
  now: Date,
): Promise<number> {
  if (changes.length === 0) return 0;
  const first = await takeNumbers(client, changes.length);
  const rows = changes.map(({ kind, subjectId, version, reason = null }, i): ChangeFacts => {
    return { seq: first + i, kind, subjectId, version, reason, at: now };
  });
  await insertChanges(client, keys, rows);
  // PostgreSQL sends it when the transaction commits.
  await client.query('SELECT pg_notify($1, $2)', [CHANGE_CHANNEL, String(first + changes.length - 1)]);
  return first;
}

/**
 * Inserts changes under given numbers, with their MACs.
 * @throws Failure KEY_MISSING
 */
export async function insertChanges(client: Pick<pg.ClientBase, 'query'>, keys: Keys, changes: readonly ChangeFacts[]) {
  const keyId = keys.ring.currentId;
  const { rowCount } = await client.query(
    `INSERT INTO change (seq, kind, subject_id, subject_version, reason, at, mac, mac_key_id)
     SELECT c.*, k.key_id FROM template_key k, unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[], $5::text[],
       $6::timestamptz[], $7::bytea[]) AS c WHERE k.key_id = $8`,
    [...columnsOf(changes), changes.map((change) => changeMac(keys, keyId, change)), keyId],
  );
  if (rowCount !== changes.length) throw keyMissing(keyId);
}

/** The values of changes, a list for each column: seq, kind, subject_id, subject_version, reason, at. */
export function columnsOf(changes: readonly ChangeFacts[]): unknown[][] {
  return [
    changes.map(({ seq }) => seq),
    changes.map(({ kind }) => kind),
    changes.map(({ subjectId }) => subjectId),
    changes.map(({ version }) => version),
    changes.map(({ reason }) => reason),
    changes.map(({ at }) => at),
  ];
}

/** @returns the first of the next numbers */
async function takeNumbers(client: pg.PoolClient, count: number): Promise<number> {
  const { rows } = await client.query<{ seq: string }>(
    `UPDATE change_counter SET seq = seq + $1 WHERE NOT EXISTS (
       SELECT FROM change c WHERE c.seq > change_counter.seq AND c.seq <= change_counter.seq + $1) RETURNING seq`,
    [count],
  );
  if (rows[0] !== undefined) return Number(rows[0].seq) - count + 1;
  await readHead(client);
  const { rows: passed } = await client.query<{ first: string | null }>('SELECT pass_changes_ahead($1, $2) AS first', [
    count,
    MAX_PASSED,
  ]);
  const first = passed[0]?.first;
  if (first === undefined || first === null) throw numbersTaken();
  return Number(first);
}

function numbersTaken(): Failure {
  const table = 'change';
  const sentence = `The table ${table} has rows with the next numbers of the sequence, which this program has not written; nothing was changed. ridgewatch store check --repair removes them.`;
  return new Failure('failed-precondition', 'CHANGE_NUMBERS_TAKEN', sentence, { metadata: { table } });
}

/**
 * The number of the last change; 0: none yet.
 * @throws Failure STORE_DAMAGED: the counter's row is missing, which does not mean 0
 */
export async function readHead(client: Pick<pg.ClientBase, 'query'>): Promise<number> {
  const { rows } = await client.query<{ seq: string }>('SELECT seq FROM change_counter');
  if (rows[0] === undefined) throw counterLost();
  return Number(rows[0].seq);
}

/** The row exists from the creation of the store. */
export function counterLost(): Failure {
  const table = 'change_counter';
  const sentence = `The table ${table} is damaged: its one row, the number of the last change, is gone; nothing was changed. ridgewatch store check --repair makes it anew from the changes, and nothing is lost by that.`;
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata: { table } });
}

/** Name of the last migration. */
export async function readSchema(client: Pick<pg.ClientBase, 'query'>): Promise<string> {
  const { rows } = await client.query<{ name: string }>('SELECT name FROM migration ORDER BY id DESC LIMIT 1');
  return rows[0]?.name ?? '';
}

/**
 * Changes after `afterSeq`, at most `limit`, in order; none above the counter, where no change can be. Those that this
 * program has not written say so.
 * @throws Failure KEY_MISSING when a key that the database knows is not available
 */
export async function readChanges(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  afterSeq: number,
  limit: number,
): Promise<Change[]> {
  const { rows } = await client.query<ChangeRow>(
    `SELECT ${CHANGE_FACTS} FROM change WHERE seq > $1 AND seq <= (SELECT seq FROM change_counter)
     ORDER BY seq LIMIT $2`,
    [afterSeq, limit],
  );
  const damages = await changeDamages(client, keys, rows);
  return rows.map(({ seq, kind, subject_id, subject_version }, i) => ({
    seq: Number(seq),
    kind,
    subjectId: subject_id,
    version: Number(subject_version),
    ...(damages[i] !== undefined && { damage: damages[i] }),
  }));
}

/**
 * Identifies a state of this store among all states of all stores: a digest of the store's identity and of the change
 * that produced the state.
 * @returns undefined: no such change exists
 */
export async function readState(client: Pick<pg.ClientBase, 'query'>, seq: number): Promise<string | undefined> {
  const { rows } = await client.query<{ state: string }>(
    `SELECT concat_ws(' ', s.store_id, c.seq, c.kind, c.subject_id, c.subject_version, extract(epoch FROM c.at)) AS state
     FROM change_counter s LEFT JOIN change c ON c.seq = $1 WHERE $1 = 0 OR c.seq IS NOT NULL`,
    [seq],
  );
  const state = rows[0]?.state;
  return state === undefined ? undefined : createHash('sha256').update(state).digest('hex').slice(0, 32);
}
