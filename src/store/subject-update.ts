/** Updates a subject. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { appendChanges } from './changes.ts';
import { changedFields } from './history-fields.ts';
import { insertHistory, type Author, type HistoryContent } from './history-rows.ts';
import { holdKeys } from './held-keys.ts';
import { insertReferences } from './inserted-references.ts';
import { isPossibleReference, isPossibleSubject } from './possible-rows.ts';
import { requireNotPutBack } from './put-back.ts';
import { provenOf, ROW_MAC_MISMATCH, ROW_UNSIGNED, type SubjectOfRows } from './proven-subjects.ts';
import type { NewReference, SubjectPatch, SubjectRecord, SubjectWithReferences } from './records.ts';
import { galleriesDigest, macOf, openMac, partsOf, referenceDigest } from './row-macs.ts';
import { REFERENCE_FACTS, SUBJECT_FACTS, type ReferenceRow, type SubjectRow } from './row-shapes.ts';
import { factsOf, factsOfReference, readSubjects } from './rows.ts';
import { requirePermission, type PermitChange } from './subject-facts.ts';
import { subjectDamaged, subjectNotFound, subjectUnreadable, versionMismatch } from './subject-failure.ts';

/**
 * Changes a subject, and replaces its references when new ones are given. Its MAC is renewed for what is replaced; of
 * the rest it says what it said before, so rows that were changed in the database do not become right by an update.
 * @param client - in a transaction, of which this should be the last step
 * @param complete - adds what is known of the subject's lost rows
 * @param permit - undefined: no caller has to be permitted
 * @param author - undefined: the subject's history gets no entry
 * @throws Failure SUBJECT_NOT_FOUND, SUBJECT_DAMAGED, ROW_MAC_MISMATCH, ROW_UNSIGNED, ROW_PUT_BACK, ROW_EXPUNGED,
 * VERSION_MISMATCH; as `permit`
 */
export async function updateSubject(
  client: pg.PoolClient,
  keys: Keys,
  subjectId: string,
  expectedVersion: number | undefined,
  patch: SubjectPatch,
  references: readonly NewReference[] | undefined,
  complete: (subject: SubjectOfRows) => Promise<readonly SubjectOfRows[]>,
  permit?: PermitChange,
  author?: Author,
): Promise<SubjectWithReferences & { readonly seq: number }> {
  await holdKeys(client, keys);
  const now = new Date();
  const row = await lockRow(client, subjectId);
  const before = { ...factsOf(row), galleries: [] };
  const parts = openMac(keys, before, row);
  if (parts === undefined) throw subjectUnreadable(row.mac === null ? ROW_UNSIGNED : ROW_MAC_MISMATCH);
  await requireNotPutBack(client, keys, before);
  if (permit !== undefined) await requirePermission(client, keys, subjectId, permit);
  const present = before.version;
  if (expectedVersion !== undefined && expectedVersion !== present) throw versionMismatch(present);
  const mac = macOf(keys, patched(before, patch, now), {
    galleries: patch.galleries === undefined ? parts.galleries : galleriesDigest([...new Set(patch.galleries)]),
    references: references === undefined ? parts.references : partsOf([], references).references,
  });
  await client.query(
    `UPDATE subject SET version = version + 1, update_time = $2,
       external_id = CASE WHEN $3 THEN $4 ELSE external_id END,
       caveats = coalesce($5, caveats), provenance = coalesce($6, provenance),
       expire_time = CASE WHEN $7 THEN $8 ELSE expire_time END, mac_key_id = $9, mac = $10,
       review_time = CASE WHEN $11 THEN $12 ELSE review_time END, suspended = coalesce($13, suspended),
       minor_until = CASE WHEN $14 THEN $15 ELSE minor_until END,
       handling_code = CASE WHEN $16 THEN $17 ELSE handling_code END,
       handling_instructions = CASE WHEN $16 THEN $18 ELSE handling_instructions END,
       handling_contact = CASE WHEN $16 THEN $19 ELSE handling_contact END
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
      mac.keyId,
      mac.bytes,
      patch.reviewTime !== undefined,
      patch.reviewTime ?? null,
      patch.suspended ?? null,
      patch.minorUntil !== undefined,
      patch.minorUntil ?? null,
      patch.handling !== undefined,
      patch.handling?.code ?? null,
      patch.handling?.instructions ?? null,
      patch.handling?.contact ?? null,
    ],
  );
  let [left, removed]: [string[] | undefined, HistoryContent['removed']] = [undefined, []];
  if (patch.galleries !== undefined) {
    const sql = 'DELETE FROM gallery_membership WHERE subject_id = $1 RETURNING gallery';
    left = (await client.query<{ gallery: string }>(sql, [subjectId])).rows.map(({ gallery }) => gallery);
    await client.query('INSERT INTO gallery_membership SELECT unnest($2::text[]), $1', [
      subjectId,
      [...new Set(patch.galleries)],
    ]);
  }
  if (references !== undefined) {
    const sql = `DELETE FROM reference WHERE subject_id = $1 RETURNING ${REFERENCE_FACTS}`;
    removed = historicReferences((await client.query<ReferenceFacts>(sql, [subjectId])).rows);
    await insertReferences(client, keys, [{ subject: { subjectId }, references }]);
  }
  const read = await readSubjects(client, keys, 's.subject_id = $1', [subjectId]);
  const completed = await Promise.all(read.subjects.map(complete));
  const { subjects, unreadable } = provenOf({ ...read, subjects: completed.flat() });
  if (unreadable[0] !== undefined) throw subjectUnreadable(unreadable[0].reason);
  const [updated] = subjects;
  if (updated === undefined) throw subjectNotFound();
  if (author !== undefined) {
    const was = { ...before, galleries: left ?? updated.subject.galleries };
    const added = references?.map((one, ordinal) => ({ reference_id: one.referenceId, digest: digest(ordinal, one) }));
    const content = { fields: changedFields(was, updated.subject), removed, added: added ?? [] };
    await insertHistory(client, keys, [{ subjectId, version: present + 1, author, content }]);
  }
  const seq = await appendChanges(client, keys, [{ kind: 'upsert', subjectId, version: present + 1 }], now);
  return { ...updated, seq };
}

type ReferenceFacts = Omit<ReferenceRow, 'template'>;

/** References as the history names them. Damaged ones are replaced as others are: their digest is left out. */
function historicReferences(rows: readonly ReferenceFacts[]): HistoryContent['removed'] {
  return [...rows]
    .sort((a, b) => a.ordinal - b.ordinal)
    .map((row) => ({
      reference_id: row.reference_id,
      digest: isPossibleReference(row) ? digest(row.ordinal, factsOfReference(row)) : '',
    }));
}

function digest(ordinal: number, reference: Omit<NewReference, 'template'>): string {
  return referenceDigest(ordinal, reference).toString('hex');
}

/** The row of a subject, which stays as it is until the transaction ends. */
async function lockRow(client: pg.PoolClient, subjectId: string): Promise<Omit<SubjectRow, 'galleries'>> {
  const sql = `SELECT ${SUBJECT_FACTS} FROM subject s WHERE s.subject_id = $1 FOR UPDATE`;
  const { rows } = await client.query<Omit<SubjectRow, 'galleries'>>(sql, [subjectId]);
  if (rows[0] === undefined) throw subjectNotFound();
  if (!isPossibleSubject({ ...rows[0], galleries: [] })) throw subjectDamaged();
  return rows[0];
}

/** What the update writes; its galleries count apart. */
function patched(before: SubjectRecord, patch: SubjectPatch, now: Date): SubjectRecord {
  return {
    ...before,
    version: before.version + 1,
    updateTime: now,
    externalId: patch.externalId === undefined ? before.externalId : (patch.externalId ?? undefined),
    caveats: patch.caveats ?? before.caveats,
    provenance: patch.provenance ?? before.provenance,
    expireTime: patch.expireTime === undefined ? before.expireTime : (patch.expireTime ?? undefined),
    reviewTime: patch.reviewTime === undefined ? before.reviewTime : (patch.reviewTime ?? undefined),
    suspended: patch.suspended ?? before.suspended,
    minorUntil: patch.minorUntil === undefined ? before.minorUntil : (patch.minorUntil ?? undefined),
    handling: patch.handling === undefined ? before.handling : (patch.handling ?? undefined),
  };
}
