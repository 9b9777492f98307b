/** Removal of damaged references, recorded as a change with a receipt. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { lastChanges } from './change-proofs.ts';
import { appendChanges } from './changes.ts';
import { removeHistory } from './history-rows.ts';
import { isOfSubject } from './proven-subjects.ts';
import { renewForReferences } from './renewed-macs.ts';
import type { DamagedReference, Removed } from './records.ts';

/**
 * Their rows are not salvaged: they are not what was written, and would be kept as if they were. This takes a database
 * administrator.
 */
const WITHOUT_DAMAGED = 'SET LOCAL zero_damaged_pages = on';

/** Outcome for a subject with damaged references. */
export interface Repaired {
  readonly subjectId: string;
  /** Nothing readable was left of it. */
  readonly isExpunged: boolean;
  readonly referencesRemoved: number;
  readonly seq: number;
}

export type ReceiptOf = (removed: Removed & { readonly subjectId: string; readonly isExpunged: boolean }) => string;

/** Treats damaged blocks as empty for the rest of the transaction. */
export async function withoutDamaged(client: pg.PoolClient): Promise<void> {
  await client.query(WITHOUT_DAMAGED);
  // Invalid indexes are not updated either; rewriting the table rebuilds them.
  await client.query(
    `UPDATE pg_index SET indisready = false WHERE NOT indisvalid AND indrelid IN ('subject'::regclass, 'reference'::regclass)`,
  );
}

/**
 * Removes damaged references of a subject, and expunges the subject if nothing readable is left of it, or its rows are
 * not what was written.
 * @param client - that holds the keys, see holdKeys
 */
export async function removeReferences(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  damaged: readonly DamagedReference[],
  reason: string,
  receiptOf: ReceiptOf,
): Promise<Repaired> {
  const now = new Date();
  const ids = damaged.flatMap(({ referenceId }) => (referenceId === '' ? [] : [referenceId]));
  const { rows: present } = await client.query('SELECT FROM subject WHERE subject_id = $1 FOR UPDATE', [subjectId]);
  const { rows: changes } = await client.query<{ first: string }>(
    'SELECT min(seq) AS first FROM change WHERE subject_id = $1',
    [subjectId],
  );
  const last = (await lastChanges(client, keys, [subjectId])).get(subjectId);
  const removed = await client.query('DELETE FROM reference WHERE reference_id = ANY($1)', [ids]);
  const { rows: left } = await client.query('SELECT FROM reference WHERE subject_id = $1 LIMIT 1', [subjectId]);
  const isUnreadable = damaged.some(isOfSubject);
  const isExpunged = present.length === 0 || left.length === 0 || isUnreadable;
  let version = last === undefined || last === 'unknown' ? 1 : last.version + 1;
  let referencesRemoved = Math.max(removed.rowCount ?? 0, damaged.length);
  if (isExpunged) {
    const others = await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
    referencesRemoved += others.rowCount ?? 0;
    await client.query('DELETE FROM gallery_membership WHERE subject_id = $1', [subjectId]);
    await client.query('DELETE FROM subject WHERE subject_id = $1', [subjectId]);
    await removeHistory(client, subjectId);
    await client.query('UPDATE enrolment_request SET digest = NULL WHERE subject_id = $1', [subjectId]);
  } else version = await renewForReferences(client, keys, subjectId, now);
  const kind = isExpunged ? 'expunge' : 'upsert';
  const seq = await appendChanges(client, keys, [{ kind, subjectId, version, reason }], now);
  const firstSeq = Number(changes[0]?.first ?? seq);
  const receipt = receiptOf({ subjectId, seq, at: now, referencesRemoved, firstSeq, isExpunged });
  await client.query('INSERT INTO receipt (seq, document) VALUES ($1, $2)', [seq, receipt]);
  return { subjectId, isExpunged, referencesRemoved, seq };
}
