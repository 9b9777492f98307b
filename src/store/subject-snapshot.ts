/** Streams all subjects of a store in one consistent state. */
import type pg from 'pg';
import type { Keys } from '../security/keys.ts';
import { readHead } from './changes.ts';
import { withGalleries, withReferenceIds } from './completed-subjects.ts';
import { lostMemberships } from './damaged-names.ts';
import { addLost } from './lost-of-subjects.ts';
import type { LostRows } from './lost-rows.ts';
import { provenOf } from './proven-subjects.ts';
import type { DamagedReference, ListFilter, SubjectWithReferences } from './records.ts';
import { batchesOf } from './subject-pages.ts';
import { inTransaction, READ_ONLY, undone, withCallbacks } from './transaction.ts';

export type OnBatch = (
  subjects: readonly SubjectWithReferences[],
  seq: number,
  unreadable?: readonly DamagedReference[],
) => Promise<void>;

/**
 * Streams subjects; see SubjectStore.snapshot.
 * @param examined - finds lost rows, before the subjects are read, and looks at damage
 */
export function takeSnapshot(
  pool: pg.Pool,
  keys: Keys,
  { lookForLost, examiner }: { readonly lookForLost: () => Promise<LostRows>; readonly examiner: () => pg.Pool },
  onBatch: OnBatch,
  batchSize: number,
  which: Pick<ListFilter, 'gallery' | 'contributor'>,
): Promise<{ readonly seq: number; readonly subjectCount: number }> {
  return withCallbacks(async (guard) => {
    const work = guard(onBatch);
    const gone = await lookForLost();
    const told = new Set<string>();
    let working: Promise<void> = Promise.resolve();
    let memberships: Promise<Map<string, string[]> | undefined> | undefined;
    const lost = () => (memberships ??= undone(examiner(), lostMemberships));
    const read = async (client: pg.PoolClient) => {
      const seq = await readHead(client);
      let subjectCount = 0;
      for await (const batch of batchesOf(client, keys, which, batchSize)) {
        const named = await withReferenceIds(examiner(), batch);
        const completed = await withGalleries(examiner(), addLost(named.subjects, gone), lost);
        const { subjects, unreadable } = provenOf({ ...named, subjects: completed });
        for (const one of unreadable) told.add(one.subjectId);
        await working;
        working = work(subjects, seq, unreadable);
        // It is awaited only after the next batch has been read.
        working.catch(() => undefined);
        subjectCount += subjects.length;
      }
      await working;
      const more = [
        ...gone.unreadable.filter(({ subjectId }) => !told.has(subjectId)),
        ...gone.references.filter(({ subjectId }) => subjectId === ''),
      ];
      if (more.length > 0) await work([], seq, more);
      return { seq, subjectCount };
    };
    try {
      return await inTransaction(pool, read, READ_ONLY);
    } finally {
      await working.catch(() => undefined);
    }
  });
}
