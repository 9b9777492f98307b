/** The change sequence: gapless, in commit order. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import type { Change } from './records.ts';

/** NOTIFY channel that carries the latest change number. */
export const CHANGE_CHANNEL = 'ridgewatch_change';

export interface NewChange {
  readonly kind: 'upsert' | 'expunge';
  readonly subjectId: string;
  readonly version: number;
  readonly reason?: string;
}

/**
 * Appends changes. This locks the counter's row, and thereby blocks every other writer, until the transaction ends. It
 * must be the last step before the commit.
 * @returns the number of the first one
 */
export async function appendChanges(client: pg.PoolClient, changes: readonly NewChange[], now: Date): Promise<number> {
  if (changes.length === 0) return 0;
  const { rows } = await client.query<{ seq: string }>('UPDATE change_counter SET seq = seq + $1 RETURNING seq', [
    changes.length,
  ]);
  if (rows[0] === undefined) throw counterLost();
  const first = Number(rows[0].seq) - changes.length + 1;
  await client.query(
    `INSERT INTO change (seq, kind, subject_id, subject_version, reason, at)
     SELECT *, $6 FROM unnest($1::bigint[], $2::text[], $3::uuid[], $4::bigint[], $5::text[])`,
    [
      changes.map((_, i) => first + i),
      changes.map(({ kind }) => kind),
      changes.map(({ subjectId }) => subjectId),
      changes.map(({ version }) => version),
      changes.map(({ reason }) => reason ?? null),
      now,
    ],
  );
  // PostgreSQL sends it when the transaction commits.
  await client.query('SELECT pg_notify($1, $2)', [CHANGE_CHANNEL, String(first + changes.length - 1)]);
  return first;
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

interface ChangeRow {
  readonly seq: string;
  readonly kind: 'upsert' | 'expunge';
  readonly subject_id: string;
  readonly subject_version: string;
}

/** Changes after `afterSeq`, at most `limit`, in order. */
export async function readChanges(
  client: Pick<pg.ClientBase, 'query'>,
  afterSeq: number,
  limit: number,
): Promise<Change[]> {
  const { rows } = await client.query<ChangeRow>(
    'SELECT seq, kind, subject_id, subject_version FROM change WHERE seq > $1 ORDER BY seq LIMIT $2',
    [afterSeq, limit],
  );
  return rows.map(({ seq, kind, subject_id, subject_version }) => ({
    seq: Number(seq),
    kind,
    subjectId: subject_id,
    version: Number(subject_version),
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
