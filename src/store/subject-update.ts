/** Updates a subject. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { appendChanges } from './changes.ts';
import { insertReferences } from './inserted-references.ts';
import type { NewReference, SubjectPatch, SubjectWithReferences } from './records.ts';
import { readSubjects } from './rows.ts';
import { subjectDamaged, subjectNotFound, versionMismatch } from './subject-failure.ts';

/**
 * Changes a subject, and replaces its references when new ones are given.
 * @param client - in a transaction, of which this should be the last step
 * @throws Failure SUBJECT_NOT_FOUND, SUBJECT_DAMAGED, VERSION_MISMATCH
 */
export async function updateSubject(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  expectedVersion: number | undefined,
  patch: SubjectPatch,
  references: readonly NewReference[] | undefined,
): Promise<SubjectWithReferences & { readonly seq: number }> {
  const now = new Date();
  const { rows } = await client.query<{ version: string }>(
    'SELECT version FROM subject WHERE subject_id = $1 FOR UPDATE',
    [subjectId],
  );
  if (rows[0] === undefined) throw subjectNotFound();
  const present = Number(rows[0].version);
  if (expectedVersion !== undefined && expectedVersion !== present) throw versionMismatch(present);
  await client.query(
    `UPDATE subject SET version = version + 1, update_time = $2,
       external_id = CASE WHEN $3 THEN $4 ELSE external_id END,
       caveats = coalesce($5, caveats), provenance = coalesce($6, provenance),
       expire_time = CASE WHEN $7 THEN $8 ELSE expire_time END
     WHERE subject_id = $1`,
    [
      subjectId,
      now,
      patch.externalId !== undefined,
      patch.externalId ?? null,
      patch.caveats ?? null,
      patch.provenance ?? null,
      patch.expireTime !== undefined,
      patch.expireTime ?? null,
    ],
  );
  if (patch.galleries !== undefined) {
    await client.query('DELETE FROM gallery_membership WHERE subject_id = $1', [subjectId]);
    await client.query('INSERT INTO gallery_membership SELECT unnest($2::text[]), $1', [
      subjectId,
      [...new Set(patch.galleries)],
    ]);
  }
  if (references !== undefined) {
    await client.query('DELETE FROM reference WHERE subject_id = $1', [subjectId]);
    await insertReferences(client, keys, [{ subject: { subjectId }, references }]);
  }
  const { subjects, unreadable } = await readSubjects(client, keys, 's.subject_id = $1', [subjectId]);
  if (unreadable.length > 0) throw subjectDamaged();
  const [updated] = subjects;
  if (updated === undefined) throw subjectNotFound();
  const seq = await appendChanges(client, [{ kind: 'upsert', subjectId, version: present + 1 }], now);
  return { ...updated, seq };
}
