/** Expunges a subject. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { appendChanges } from './changes.ts';
import { removeHistory } from './history-rows.ts';
import { holdKeys } from './held-keys.ts';
import type { Expunged, Removed } from './records.ts';
import { requirePermission, type PermitChange } from './subject-facts.ts';
import { subjectNotFound } from './subject-failure.ts';

/**
 * Deletes a subject, its references and its history, and stores the receipt.
 * @param client - in a transaction, of which this should be the last step
 * @param permit - undefined: no caller has to be permitted
 * @throws Failure SUBJECT_NOT_FOUND; as `permit`
 */
export async function expungeSubject(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  reason: string,
  receiptOf: (removed: Removed) => string,
  permit?: PermitChange,
): Promise<Expunged> {
  await holdKeys(client, keys);
  const now = new Date();
  const { rows } = await client.query<{ version: string }>(
    'SELECT version FROM subject WHERE subject_id = $1 FOR UPDATE',
    [subjectId],
  );
  if (rows[0] === undefined) throw subjectNotFound();
  if (permit !== undefined) await requirePermission(client, keys, subjectId, permit);
  const removed = await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
  await client.query('DELETE FROM subject WHERE subject_id = $1', [subjectId]);
  await removeHistory(client, subjectId);
  await client.query('UPDATE enrolment_request SET digest = NULL WHERE subject_id = $1', [subjectId]);
  const { rows: changes } = await client.query<{ first: string }>(
    'SELECT min(seq) AS first FROM change WHERE subject_id = $1',
    [subjectId],
  );
  const version = Number(rows[0].version) + 1;
  const seq = await appendChanges(client, keys, [{ kind: 'expunge', subjectId, version, reason }], now);
  const referencesRemoved = removed.rowCount ?? 0;
  const receipt = receiptOf({ seq, at: now, referencesRemoved, firstSeq: Number(changes[0]?.first ?? seq) });
  await client.query('INSERT INTO receipt (seq, document) VALUES ($1, $2)', [seq, receipt]);
  return { seq, referencesRemoved, receipt };
}
