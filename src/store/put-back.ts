/**
 * Earlier states of subjects that were put back into the database. Their MACs fit, for they were made for them; the
 * changes that came after show what they are.
 */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { lastChanges, type LastChange } from './change-proofs.ts';
import { tryRead } from './damaged-pages.ts';
import { ROW_EXPUNGED, ROW_MAC_MISMATCH, ROW_PUT_BACK, unproven, type RowsRead } from './proven-subjects.ts';
import type { DamagedReference, SubjectRecord } from './records.ts';
import { subjectUnreadable } from './subject-failure.ts';

type Client = Pick<pg.ClientBase, 'query'>;
type State = Pick<SubjectRecord, 'subjectId' | 'version'>;

/**
 * Leaves out the subjects whose rows are an earlier state than their last change, or of which the last change says that
 * they were expunged. Where the changes cannot be read, all stay: damage of the changes hides no subject.
 * @param client - in a transaction that sees rows and changes in one state
 * @throws Failure KEY_MISSING
 */
export async function withoutPutBack(client: Client, keys: Keys, read: RowsRead): Promise<RowsRead> {
  if (read.subjects.length === 0) return read;
  const ids = read.subjects.map(({ subject }) => subject.subjectId);
  const last = await tryRead(client, () => lastChanges(client, keys, ids));
  if (last === undefined) return read;
  const earlier: DamagedReference[] = [];
  const subjects = read.subjects.filter(({ subject, references, damaged }) => {
    const reason = reasonFor(subject, last.get(subject.subjectId));
    if (reason !== undefined) earlier.push(...unproven({ subject, references, ...(damaged && { damaged }) }, reason));
    return reason === undefined;
  });
  return earlier.length === 0 ? read : { subjects, unreadable: [...read.unreadable, ...earlier] };
}

/** Why a subject's row is not its last state; undefined: it may be. @throws Failure KEY_MISSING */
export async function putBack(client: Client, keys: Keys, subject: State): Promise<string | undefined> {
  return reasonFor(subject, (await lastChanges(client, keys, [subject.subjectId])).get(subject.subjectId));
}

/** @throws Failure ROW_PUT_BACK, ROW_EXPUNGED, ROW_MAC_MISMATCH; KEY_MISSING */
export async function requireNotPutBack(client: Client, keys: Keys, subject: State): Promise<void> {
  const reason = await putBack(client, keys, subject);
  if (reason !== undefined) throw subjectUnreadable(reason);
}

function reasonFor({ version }: State, last: LastChange | 'unknown' | undefined): string | undefined {
  if (last === undefined) return undefined;
  if (last === 'unknown') return ROW_MAC_MISMATCH;
  if (last.kind === 'expunge') return ROW_EXPUNGED;
  return version < last.version ? ROW_PUT_BACK : undefined;
}
