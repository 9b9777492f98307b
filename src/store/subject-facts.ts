import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { isPossibleSubject } from './possible-rows.ts';
import { ROW_MAC_MISMATCH, ROW_UNSIGNED } from './proven-subjects.ts';
import { requireNotPutBack } from './put-back.ts';
import type { SubjectRecord } from './records.ts';
import { galleriesDigest, openMac } from './row-macs.ts';
import { SUBJECT_FACTS, type SubjectRow } from './row-shapes.ts';
import { factsOf } from './rows.ts';
import { subjectDamaged, subjectNotFound, subjectUnreadable } from './subject-failure.ts';

/** What decides who may change a subject, and which state of it. */
export type SubjectFacts = Pick<
  SubjectRecord,
  'contributor' | 'caveats' | 'provenance' | 'galleries' | 'version' | 'suspended' | 'minorUntil'
>;

/**
 * Decides whether a subject may be changed as it is: called within the change's transaction, while the row is locked.
 * What a caller decided about an earlier reading may no longer hold. @throws Failure, and nothing is changed
 */
export type PermitChange = (present: SubjectFacts) => void;

/**
 * @returns undefined: there is no such subject, or its row cannot be found; without galleries when they are not those
 * that were written
 * @throws Failure SUBJECT_DAMAGED, ROW_MAC_MISMATCH, ROW_UNSIGNED, ROW_PUT_BACK, ROW_EXPUNGED: the row does not say whose the subject is
 */
export async function readFacts(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  subjectId: string,
): Promise<SubjectFacts | undefined> {
  const { rows } = await client.query<SubjectRow>(
    `SELECT ${SUBJECT_FACTS},
       ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C")
         AS galleries
     FROM subject s WHERE subject_id = $1`,
    [subjectId],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  if (!isPossibleSubject(row)) throw subjectDamaged();
  const subject = { ...factsOf(row), galleries: row.galleries };
  const parts = openMac(keys, subject, row);
  if (parts === undefined) throw subjectUnreadable(row.mac === null ? ROW_UNSIGNED : ROW_MAC_MISMATCH);
  await requireNotPutBack(client, keys, subject);
  return galleriesDigest(row.galleries).equals(parts.galleries) ? subject : { ...subject, galleries: [] };
}

/**
 * Asks whether a subject may be changed.
 * @param client - in a transaction that has locked the subject's row: its galleries change only under that lock
 * @throws Failure SUBJECT_NOT_FOUND; as `readFacts`; as `permit`
 */
export async function requirePermission(
  client: Pick<pg.ClientBase, 'query'>,
  keys: Keys,
  subjectId: string,
  permit: PermitChange,
): Promise<void> {
  const present = await readFacts(client, keys, subjectId);
  if (present === undefined) throw subjectNotFound();
  permit(present);
}
