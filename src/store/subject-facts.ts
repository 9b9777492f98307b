import type pg from 'pg';
import type { SubjectRecord } from './records.ts';

/** What decides who may change a subject. */
export type SubjectFacts = Pick<SubjectRecord, 'contributor' | 'caveats' | 'provenance' | 'galleries'>;

/** @returns undefined: there is no such subject, or its row cannot be found */
export async function readFacts(
  client: Pick<pg.ClientBase, 'query'>,
  subjectId: string,
): Promise<SubjectFacts | undefined> {
  const { rows } = await client.query<SubjectFacts>(
    `SELECT contributor, caveats, provenance,
       ARRAY(SELECT gallery FROM gallery_membership g WHERE g.subject_id = s.subject_id ORDER BY gallery COLLATE "C")
         AS galleries
     FROM subject s WHERE subject_id = $1`,
    [subjectId],
  );
  return rows[0];
}
