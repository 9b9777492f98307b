/** The record classes of the stored subjects: what policies about records decide by. */
import type pg from 'pg';
import { blocksOf, readBlocks, tryRead } from './damaged-pages.ts';
import type { SubjectRecord } from './records.ts';
import { withoutTimeLimit } from './transaction.ts';

export type StoredClass = Pick<SubjectRecord, 'contributor' | 'caveats' | 'provenance'>;

/**
 * Reads each class once, around unreadable blocks.
 * @param client - in a transaction
 */
export async function readRecordClasses(client: pg.PoolClient): Promise<StoredClass[]> {
  await withoutTimeLimit(client);
  const sql = (within: string) => `SELECT DISTINCT contributor, caveats, provenance FROM subject WHERE ${within}`;
  const found = await tryRead(client, () => client.query<StoredClass>(sql('true')));
  if (found !== undefined) return found.rows;
  const { readable } = await blocksOf(client, 'subject');
  return readBlocks<StoredClass>(client, readable, sql);
}
