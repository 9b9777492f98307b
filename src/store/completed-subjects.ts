/** Completes subjects from a damaged store: with what the changes and the indexes reveal of unreadable rows. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { isEnrolled, lastChanges } from './change-proofs.ts';
import { lostMemberships, nameReferences } from './damaged-names.ts';
import { BlocksAtHand } from './damaged-pages.ts';
import { addGalleries } from './lost-of-subjects.ts';
import type { RowsRead, SubjectOfRows } from './proven-subjects.ts';
import type { DamagedReference } from './records.ts';
import { referencesOfUnreadable } from './rescued-rows.ts';
import { inTransaction, READ_ONLY, undone } from './transaction.ts';

/** The references of subjects that are enrolled according to the changes but whose rows are lost. */
export function referencesOfLost(pool: pg.Pool, keys: Keys, ids: readonly string[]): Promise<DamagedReference[]> {
  if (ids.length === 0) return Promise.resolve([]);
  const read = async (client: pg.PoolClient) => {
    const last = await lastChanges(client, keys, ids);
    const enrolled = ids.filter((id) => isEnrolled(last.get(id)));
    return referencesOfUnreadable(client, new BlocksAtHand(client), enrolled);
  };
  return inTransaction(pool, read, READ_ONLY);
}

/**
 * Adds galleries from the database's indexes to subjects with unreadable memberships. A subject that was changed
 * since its enrolment may have left one of them; searching it there is the lesser evil.
 */
export async function withGalleries(
  pool: pg.Pool,
  subjects: readonly SubjectOfRows[],
  lost: () => Promise<Map<string, string[]> | undefined> = () => undone(pool, lostMemberships),
): Promise<readonly SubjectOfRows[]> {
  if (!subjects.some((one) => one.mayLackGalleries === true)) return subjects;
  const named = await lost();
  return named === undefined ? subjects : addGalleries(subjects, named);
}

/** Finds the ids of references that could not be read with their subjects. */
export async function withReferenceIds(pool: pg.Pool, { subjects, unreadable }: RowsRead): Promise<RowsRead> {
  const damaged = [...unreadable, ...subjects.flatMap((subject) => subject.damaged ?? [])];
  if (!damaged.some(({ referenceId }) => referenceId === '')) return { subjects, unreadable };
  const named = Map.groupBy(
    await undone(pool, (client) => nameReferences(client, damaged)),
    ({ subjectId }) => subjectId,
  );
  const present = new Set(subjects.map(({ subject }) => subject.subjectId));
  return {
    subjects: subjects.map((one) => {
      const found = named.get(one.subject.subjectId);
      return found === undefined ? one : { ...one, damaged: found };
    }),
    unreadable: [...named].flatMap(([subjectId, found]) => (present.has(subjectId) ? [] : found)),
  };
}
