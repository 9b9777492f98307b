/** Identifies references in unreadable blocks by the indexes, which are stored elsewhere. */
import pg from 'pg';
import { blocksOf, tryRead } from './damaged-pages.ts';
import { findLostEntries } from './lost-places.ts';
import type { DamagedReference } from './records.ts';
import { withoutTimeLimit } from './transaction.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** An index entry's key, and the place of its row. */
interface Entry {
  readonly key: Buffer;
  readonly place: string;
}

/**
 * Finds the ids of damaged references without one, where possible. This takes PostgreSQL's extension pageinspect and a
 * database administrator, which the user of an embedded database is. Other references are returned unchanged.
 * @param client - in a transaction that is rolled back: it creates the extension
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
  const subjectAt = new Map(subjects.map(({ key, place }) => [place, uuidOf(key)]));
  const wanted = new Map(unnamed.map((one) => [one.subjectId, one]));
  const named = new Map<string, DamagedReference>();
  for (const { key, place } of references) {
    const referenceId = uuidOf(key);
    const one = wanted.get(subjectAt.get(place) ?? '');
    if (one === undefined) continue;
    const sql = 'SELECT FROM reference WHERE reference_id = $1';
    // A row that was rewritten since lies in another block and can be read.
    if ((await tryRead(client, () => client.query(sql, [referenceId]))) !== undefined) continue;
    named.set(referenceId, { ...one, referenceId });
  }
  const found = new Set([...named.values()].map(({ subjectId }) => subjectId));
  return [...damaged.filter((one) => one.referenceId !== '' || !found.has(one.subjectId)), ...named.values()];
}

/**
 * Memberships in unreadable blocks: an index holds all their columns. A recently removed membership may be among them,
 * unless its subject was never changed.
 * @param client - in a transaction that is rolled back: it creates the extension
 * @returns galleries by subject; undefined: the database user lacks the right
 */
export async function lostMemberships(client: Client): Promise<Map<string, string[]> | undefined> {
  await withoutTimeLimit(client);
  const { damaged: blocks } = await blocksOf(client, 'gallery_membership');
  const entries = await entriesOf(client, 'gallery_membership_pkey', blocks);
  const lost = await findLostEntries(client, 'gallery_membership');
  if (entries === undefined || lost === undefined) return undefined;
  return galleriesOf([...entries, ...lost.filter(({ index }) => index === 'gallery_membership_pkey')]);
}

/** Galleries by subject, from entries of the memberships' primary key. */
export function galleriesOf(entries: readonly { readonly key: Buffer }[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { key } of entries) {
    const { text, end } = textOf(key);
    const subjectId = uuidOf(key.subarray(end));
    if (text !== '') found.set(subjectId, [...(found.get(subjectId) ?? []), text]);
  }
  return found;
}

/** The entries of an index for given blocks of its table. @returns undefined: they cannot be read */
async function entriesOf(client: Client, index: string, blocks: readonly number[]): Promise<Entry[] | undefined> {
  await client.query('SAVEPOINT naming');
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS pageinspect');
    const { rows: pages } = await client.query<{ block: number; rightmost: boolean }>(
      `SELECT s.blkno::int AS block, s.btpo_next = 0 AS rightmost
       FROM generate_series(1, pg_relation_size('${index}') / current_setting('block_size')::int - 1) AS n(block),
         LATERAL bt_page_stats('${index}', n.block) s WHERE s.type = 'l'`,
    );
    // On every page but the last, the first item is not an entry but the bound to the next page.
    const { rows } = await client.query<{ data: string; place: string }>(
      `SELECT i.data, place::text AS place FROM unnest($1::bigint[], $2::int[]) AS p(block, after),
         LATERAL bt_page_items('${index}', p.block) i, LATERAL unnest(coalesce(i.tids, ARRAY[i.htid])) AS place
       WHERE i.itemoffset > p.after AND i.dead IS NOT TRUE AND (place::text::point)[0]::bigint = ANY($3)`,
      [pages.map(({ block }) => block), pages.map(({ rightmost }) => (rightmost ? 0 : 1)), blocks],
    );
    return rows.map(({ data, place }) => ({ key: Buffer.from(data.replaceAll(' ', ''), 'hex'), place }));
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT naming');
    return undefined;
  } finally {
    await client.query('RELEASE SAVEPOINT naming');
  }
}

/** Decodes a text in an index. Its length precedes it, in one byte for a short text. */
function textOf(key: Buffer): { readonly text: string; readonly end: number } {
  const first = key[0] ?? 1;
  const isShort = (first & 1) === 1;
  const end = isShort ? first >> 1 : key.readUInt32LE(0) >>> 2;
  // Compressed texts are longer than any gallery's name.
  if (!isShort && (first & 2) === 2) return { text: '', end };
  return { text: key.subarray(isShort ? 1 : 4, end).toString('utf8'), end };
}

export function uuidOf(key: Buffer): string {
  const digits = key.subarray(0, 16).toString('hex');
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}
