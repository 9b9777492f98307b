/** Writing a table anew with what can be read of it, in one transaction, as any owner of the table may. */
import pg from 'pg';
import { appendChanges } from './changes.ts';
import { BlocksAtHand, tryRead, type BlockRange } from './damaged-pages.ts';
import { lostMemberships } from './damaged-names.ts';
import { withoutTimeLimit } from './transaction.ts';

const { escapeIdentifier } = pg;
/** Rows that fit into a block at most. */
const MAX_IN_BLOCK = 300;
/** Where what can be read waits meanwhile. */
const KEPT = 'kept_of_damaged';

/** Writes a table anew that no other one points to. What its damaged blocks held is gone. */
export async function rewriteLeaf(client: pg.PoolClient, table: string): Promise<void> {
  await keepReadable(client, table);
  await putBack(client, table);
  // Galleries with a member are known from there.
  if (table === 'gallery')
    await client.query(
      'INSERT INTO gallery (name) SELECT DISTINCT gallery FROM gallery_membership ON CONFLICT DO NOTHING',
    );
}

/**
 * The same for the memberships, with those that only an index still knows of.
 * @param unsure - subjects that may have had more: each is changed, so that services read it again
 */
export async function rewriteMemberships(
  client: pg.PoolClient,
  unsure: readonly string[],
  reason: string,
): Promise<void> {
  await keepReadable(client, 'gallery_membership');
  // What looking takes is undone, and the table stays locked.
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
  const { rows: changed } = await client.query<{ subject_id: string; version: string }>(
    `UPDATE subject SET version = version + 1, update_time = $2 WHERE subject_id = ANY($1)
     RETURNING subject_id, version`,
    [unsure, now],
  );
  const changes = changed.map(({ subject_id, version }) => ({
    kind: 'upsert' as const,
    subjectId: subject_id,
    version: Number(version),
    reason,
  }));
  await appendChanges(client, changes, now);
}

async function keepReadable(client: pg.PoolClient, table: string): Promise<void> {
  await withoutTimeLimit(client);
  const name = escapeIdentifier(table);
  await client.query(`LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`);
  await client.query(`CREATE TEMPORARY TABLE ${KEPT} (LIKE ${name}) ON COMMIT DROP`);
  const { readable } = await new BlocksAtHand(client).of(name);
  for (const range of readable) await keep(client, name, range);
}

/** Large values lie elsewhere and may be damaged alone: so a block is halved here, too, and read row by row in the end. */
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

/** Empties the table, and fills it with what was kept, as far as what it points to is there. */
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
