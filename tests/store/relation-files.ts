/** Changes the files of tables and indexes on disk while the database runs. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';

export const BLOCK = 8192;

/**
 * Changes the file of a relation. Beforehand everything is written to disk, and its blocks are evicted from memory.
 * @param url - of the database, as its administrator
 * @param directory - of the cluster
 * @param change - called with the open file and its number of blocks
 */
export async function changeFile<T>(
  url: string,
  directory: string,
  relation: string,
  change: (file: number, blocks: number) => T,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('CREATE EXTENSION IF NOT EXISTS pg_buffercache; CHECKPOINT');
    const { rows } = await client.query<{ path: string; blocks: number }>(
      `SELECT pg_relation_filepath($1::regclass) AS path, pg_buffercache_evict_relation($1::regclass),
         (pg_relation_size($1::regclass) / ${BLOCK})::int AS blocks`,
      [relation],
    );
    const [{ path, blocks }] = rows;
    const file = openSync(join(directory, path), 'r+');
    try {
      return change(file, blocks);
    } finally {
      closeSync(file);
    }
  } finally {
    await client.end();
  }
}
