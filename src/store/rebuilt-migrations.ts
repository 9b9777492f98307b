/** Rebuilds a lost list of migrations from the schema. */
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { MIGRATION_TABLE, migrationFile, ownMigrations } from './migrations.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Schema in which the migrations are applied on trial. */
const TRIAL = 'ridgewatch_trial';
/** Everything that distinguishes two schemas, apart from their names. */
const SHAPE = `SELECT coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), '') AS shape FROM (
    SELECT concat_ws(' ', c.relkind, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull) AS line
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = $1::oid AND c.relkind IN ('r', 'i') AND c.relname NOT IN ($2::text, $2::text || '_pkey')
    UNION ALL SELECT concat_ws(' ', 'f', p.proname) FROM pg_proc p
    WHERE p.pronamespace = $1::oid AND p.prorettype = 'trigger'::regtype
  ) lines`;

/**
 * Rebuilds the list: the leading migrations that produce the present schema.
 * @throws Failure STORE_DAMAGED when none do
 */
export async function rebuildMigrations(client: pg.PoolClient): Promise<void> {
  const made = await madeMigrations(client);
  if (made === undefined) {
    const sentence = `The list of the migrations is damaged, and the schema is none that this program makes: restore a backup into an empty database.`;
    throw new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata: { table: MIGRATION_TABLE } });
  }
  // Created as the library does. Dropped rather than emptied: its sequence may be the damaged part.
  await client.query(`DROP TABLE ${MIGRATION_TABLE}`);
  await client.query(
    `CREATE TABLE ${MIGRATION_TABLE} (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL)`,
  );
  await client.query(`INSERT INTO ${MIGRATION_TABLE} (name, run_on) SELECT unnest($1::text[]), now()`, [made]);
}

async function madeMigrations(client: Client): Promise<string[] | undefined> {
  const { rows } = await client.query<{ oid: string }>(
    "SELECT relnamespace AS oid FROM pg_class WHERE oid = 'subject'::regclass",
  );
  const present = await shapeOf(client, rows[0]?.oid ?? '0');
  await client.query('SAVEPOINT trial');
  try {
    await client.query(`CREATE SCHEMA ${TRIAL}; SET LOCAL search_path = ${TRIAL}`);
    const made: string[] = [];
    for (const name of ownMigrations()) {
      await client.query(readFileSync(migrationFile(name), 'utf8'));
      made.push(name);
      const { rows: trial } = await client.query<{ oid: string }>(`SELECT '${TRIAL}'::regnamespace::oid AS oid`);
      if ((await shapeOf(client, trial[0]?.oid ?? '0')) === present) return made;
    }
    return undefined;
  } finally {
    await client.query('ROLLBACK TO SAVEPOINT trial');
  }
}

async function shapeOf(client: Client, namespace: string): Promise<string> {
  const { rows } = await client.query<{ shape: string }>(SHAPE, [namespace, MIGRATION_TABLE]);
  return rows[0]?.shape ?? '';
}
