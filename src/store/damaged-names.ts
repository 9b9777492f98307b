/** Which references lie in blocks that cannot be read: the indexes still say, which lie elsewhere. */
import type pg from 'pg';
import { blocksOf, tryRead } from './damaged-pages.ts';
import type { DamagedReference } from './records.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** The key of an index entry, as hexadecimal digits, and the place of the row that it leads to. */
interface Entry {
  readonly key: string;
  readonly place: string;
}

/**
 * Names the references of unnamed ones, as far as it can: it takes PostgreSQL's extension pageinspect, and an
 * administrator of the database, as the user of an embedded one is. What cannot be named stays as it is.
 * @param client - in a transaction that is rolled back: the extension is made in it
 */
export async function nameReferences(
  client: Client,
  damaged: readonly DamagedReference[],
): Promise<DamagedReference[]> {
  const unnamed = damaged.filter(({ referenceId }) => referenceId === '');
  if (unnamed.length === 0) return [...damaged];
  await withoutTimeLimit(client);
  const { damaged: blocks } = await blocksOf(client, 'reference');
  const references = await entriesOf(client, 'reference_pkey', blocks);
  const subjects = await entriesOf(client, 'reference_subject', blocks);
  if (references === undefined || subjects === undefined) return [...damaged];
  const subjectAt = new Map(subjects.map(({ key, place }) => [place, key]));
  const wanted = new Map(unnamed.map((one) => [one.subjectId, one]));
  const named = new Map<string, DamagedReference>();
  for (const { key: referenceId, place } of references) {
    const one = wanted.get(subjectAt.get(place) ?? '');
    if (one === undefined) continue;
    const sql = 'SELECT FROM reference WHERE reference_id = $1';
    // A row that was written anew since lies elsewhere, and can be read.
    if ((await tryRead(client, () => client.query(sql, [referenceId]))) !== undefined) continue;
    named.set(referenceId, { ...one, referenceId });
  }
  const found = new Set([...named.values()].map(({ subjectId }) => subjectId));
  return [...damaged.filter((one) => one.referenceId !== '' || !found.has(one.subjectId)), ...named.values()];
}

/** The entries of an index of UUIDs that lead to some blocks of its table. @returns undefined: they cannot be looked at */
async function entriesOf(client: Client, index: string, blocks: readonly number[]): Promise<Entry[] | undefined> {
  await client.query('SAVEPOINT naming');
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS pageinspect');
    const { rows: pages } = await client.query<{ block: number; rightmost: boolean }>(
      `SELECT s.blkno::int AS block, s.btpo_next = 0 AS rightmost
       FROM generate_series(1, pg_relation_size('${index}') / current_setting('block_size')::int - 1) AS n(block),
         LATERAL bt_page_stats('${index}', n.block) s WHERE s.type = 'l'`,
    );
    const entries: Entry[] = [];
    for (const { block, rightmost } of pages) {
      // The first item of a page that is not the last is no entry, but the bound to the next page.
      const { rows } = await client.query<{ data: string; place: string }>(
        `SELECT data, place::text AS place FROM bt_page_items('${index}', $1) i,
           LATERAL unnest(coalesce(i.tids, ARRAY[i.htid])) AS place
         WHERE i.itemoffset > $2 AND (place::text::point)[0]::bigint = ANY($3)`,
        [block, rightmost ? 0 : 1, blocks],
      );
      for (const { data, place } of rows) entries.push({ key: uuidOf(data), place });
    }
    return entries;
  } catch {
    await client.query('ROLLBACK TO SAVEPOINT naming');
    return undefined;
  } finally {
    await client.query('RELEASE SAVEPOINT naming');
  }
}

/** @param data - sixteen bytes as two digits each, with blanks between */
function uuidOf(data: string): string {
  const digits = data.replaceAll(' ', '').slice(0, 32);
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}
