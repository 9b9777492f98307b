/** Reads the names of galleries. */
import type pg from 'pg';
import { BlocksAtHand, readBlocks, tryRead } from './damaged-pages.ts';
import { withoutTimeLimit } from './transaction.ts';

/**
 * The names of all galleries that any subject ever belonged to; around damage, as far as they can be read.
 * @param isAnyLost - rows of a table are lost: names are then also read from the memberships
 */
export async function readGalleryNames(client: pg.PoolClient, isAnyLost: boolean): Promise<string[]> {
  const sql = 'SELECT name FROM gallery';
  const whole = await tryRead(client, () => client.query<{ name: string }>(sql));
  if (whole !== undefined && !isAnyLost) return whole.rows.map(({ name }) => name);
  await withoutTimeLimit(client);
  const blocks = new BlocksAtHand(client);
  const names = new Set<string>();
  // Galleries without members may be lost.
  for (const [table, column] of [['gallery', 'name'] as const, ['gallery_membership', 'gallery'] as const]) {
    const { readable } = await blocks.of(table);
    const condition = (within: string) => `SELECT DISTINCT ${column} AS name FROM ${table} WHERE ${within}`;
    for (const { name } of await readBlocks<{ name: string }>(client, readable, condition)) names.add(name);
  }
  return [...names];
}
