/** Rewrites a table from its readable rows, in one transaction. The owner of the table has the right to do this. */
import pg from 'pg';
import { appendChanges, type NewChange } from './changes.ts';
import { BlocksAtHand, tryRead, type BlockRange } from './damaged-pages.ts';
import { lostMemberships } from './damaged-names.ts';
import type { Keys } from '../security/keys.ts';
import { holdKeys } from './held-keys.ts';
import { renewForGalleries } from './renewed-macs.ts';
import { withoutTimeLimit } from './transaction.ts';

const { escapeIdentifier } = pg;
/** Maximum number of rows in a block. */
const MAX_IN_BLOCK = 300;
/** Temporary table of the readable rows. */
const KEPT = 'kept_of_damaged';

/** Rewrites a table that no other table references. The rows in its damaged blocks are lost. */
export async function rewriteLeaf(client: pg.PoolClient, table: string): Promise<void> {
  await keepReadable(client, table);
  await putBack(client, table);
  // The memberships name every gallery with a member.
  if (table === 'gallery')
    await client.query(
      'INSERT INTO gallery (name) SELECT DISTINCT gallery FROM gallery_membership ON CONFLICT DO NOTHING',
    );
}

/**
 * Rewrites the memberships, including those that only an index still has.
 * @param unsure - subjects that may have lost memberships: each is changed, so that services reload it
 */
export async function rewriteMemberships(
  client: pg.PoolClient,
  keys: Keys,
  unsure: readonly string[],
  reason: string,
): Promise<void> {
  await holdKeys(client, keys);
  await keepReadable(client, 'gallery_membership');
  // Undoes the changes that reading the indexes needs; the table stays locked.
  await client.query('SAVEPOINT looking');
  const known = await lostMemberships(client);
  await client.query('ROLLBACK TO SAVEPOINT looking');
  const rows = [...(known ?? [])].flatMap(([subjectId, names]) => names.map((name) => [name, subjectId]));
  await client.query(`INSERT INTO ${KEPT} (gallery, subject_id) SELECT * FROM unnest($1::text[], $2::uuid[])`, [
    rows.map(([name]) => name),
    rows.map(([, subjectId]) => subjectId),
  ]);
  await putBack(client, 'gallery_membership');
  const now = new Date();
  const changes: NewChange[] = [];
  for (const subjectId of unsure) {
    const version = await renewForGalleries(client, keys, subjectId, now);
    if (version !== undefined) changes.push({ kind: 'upsert', subjectId, version, reason });
  }
  await appendChanges(client, keys, changes, now);
}

async function keepReadable(client: pg.PoolClient, table: string): Promise<void> {
  await withoutTimeLimit(client);
  const name = escapeIdentifier(table);
  await client.query(`LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`);
  await client.query(`CREATE TEMPORARY TABLE ${KEPT} (LIKE ${name}) ON COMMIT DROP`);
  const { readable } = await new BlocksAtHand(client).of(name);
  for (const range of readable) await keep(client, name, range);
}

/**
 * Copies the rows of a range of blocks. Large values are stored elsewhere and may be damaged alone: blocks are
 * therefore halved here, too, and finally read row by row.
 */
async function keep(client: pg.PoolClient, name: string, range: BlockRange): Promise<void> {
  const { from, end } = range;
  const insert = (low: string, high: string) =>
    client.query(`INSERT INTO ${KEPT} SELECT * FROM ${name} WHERE ctid >= '${low}'::tid AND ctid < '${high}'::tid`);
  if (from === end) return;
  if ((await tryRead(client, () => insert(`(${from},0)`, `(${end},0)`))) !== undefined) return;
  if (end - from > 1) {
    const middle = Math.floor((from + end) / 2);
    await keep(client, name, { from, end: middle });
    await keep(client, name, { from: middle, end });
    return;
  }
  for (let row = 1; row <= MAX_IN_BLOCK; row++)
    await tryRead(client, () => insert(`(${from},${row})`, `(${from},${row + 1})`));
}

/** Empties the table and refills it with the kept rows whose foreign keys still have a target. */
async function putBack(client: pg.PoolClient, table: string): Promise<void> {
  const name = escapeIdentifier(table);
  const { rows: keys } = await client.query<{ target: string; own: string; other: string }>(
    `SELECT f.confrelid::regclass::text AS target, quote_ident(a.attname) AS own, quote_ident(b.attname) AS other
     FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
       JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
     WHERE f.conrelid = $1::regclass AND f.contype = 'f'`,
    [name],
  );
  const present = keys.map(({ target, own, other }) => `EXISTS (SELECT FROM ${target} t WHERE t.${other} = k.${own})`);
  await client.query(`TRUNCATE ${name}`);
  await client.query(
    `INSERT INTO ${name} SELECT k.* FROM ${KEPT} k WHERE ${['true', ...present].join(' AND ')} ON CONFLICT DO NOTHING`,
  );
}
