/** Reads subjects page by page. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { BlocksAtHand, tryRead } from './damaged-pages.ts';
import type { RowsRead } from './proven-subjects.ts';
import type { ListFilter } from './records.ts';
import { lostSubjects, readableSubjectIds, referencesOfUnreadable } from './rescued-rows.ts';
import { readPresent, readSubjects, readSubjectsById, type SubjectsAround } from './rows.ts';
import { withoutTimeLimit } from './transaction.ts';

/** A page of subjects, read around damage. */
export function readPageAround(client: pg.PoolClient, keys: Keys, filter: ListFilter): Promise<SubjectsAround> {
  const { condition, values } = conditionOf(filter);
  return readSubjects(client, keys, condition, values, filter.limit);
}

/**
 * Pages of subjects. If a page meets damage, the remaining subjects follow by id, and then the references of lost
 * subjects.
 */
export async function* batchesOf(
  client: pg.PoolClient,
  keys: Keys,
  which: Pick<ListFilter, 'gallery' | 'contributor'>,
  batchSize: number,
): AsyncGenerator<RowsRead, void> {
  let afterSubjectId: string | undefined;
  for (;;) {
    const filter = { ...which, limit: batchSize, afterSubjectId };
    const batch = await tryRead(client, () => readPage(client, keys, filter));
    if (batch === undefined) break;
    if (batch.subjects.length === 0 && batch.unreadable.length === 0) return;
    yield batch;
    afterSubjectId = [
      ...batch.subjects.map(({ subject }) => subject.subjectId),
      ...batch.unreadable.map((one) => one.subjectId),
    ]
      .sort()
      .at(-1);
  }
  await withoutTimeLimit(client);
  const { condition, values } = conditionOf({ ...which, afterSubjectId });
  const blocks = new BlocksAtHand(client);
  const ids = await readableSubjectIds(client, blocks, condition, values);
  for (let at = 0; at < ids.length; at += batchSize)
    yield await readSubjectsById(client, keys, ids.slice(at, at + batchSize), blocks);
  const lost = await lostSubjects(client, blocks);
  if (lost.length > 0) yield { subjects: [], unreadable: await referencesOfUnreadable(client, blocks, lost) };
}

/** A page without damaged rows of subjects. @throws DatabaseError on damage */
function readPage(client: pg.PoolClient, keys: Keys, filter: ListFilter): Promise<RowsRead> {
  const { condition, values } = conditionOf(filter);
  return readPresent(client, keys, condition, values, filter.limit);
}

/** An SQL condition on `subject s`, and its values. */
function conditionOf({
  gallery,
  contributor,
  afterSubjectId,
}: Pick<ListFilter, 'gallery' | 'contributor' | 'afterSubjectId'>): {
  readonly condition: string;
  readonly values: unknown[];
} {
  const condition = `($1::text IS NULL OR s.contributor = $1)
      AND ($2::uuid IS NULL OR s.subject_id > $2)
      AND ($3::text IS NULL OR EXISTS (
        SELECT FROM gallery_membership m WHERE m.gallery = $3 AND m.subject_id = s.subject_id))`;
  return { condition, values: [contributor ?? null, afterSubjectId ?? null, gallery ?? null] };
}
