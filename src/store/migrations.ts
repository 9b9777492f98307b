import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { connectionTo } from './connection.ts';
import { explain } from './external-database.ts';
import { catalogueDamaged, damagedPlaceOf, isCatalogueLost, isDamage, isOfCatalogue } from './store-damage.ts';
import { asStoreFailure } from './store-failure.ts';

const FOLDER = join(import.meta.dirname, 'migrations');
/** Table with the names of the applied migrations. */
export const MIGRATION_TABLE = 'migration';

/**
 * Upgrades the schema, forward only, under the library's advisory lock: of two programs that start together, one
 * upgrades.
 * @param which - `keep`: refuses an older schema and leaves it unchanged, because a service may be running on it; an
 * empty database gets a schema nevertheless
 * @throws Failure DATABASE_UNREACHABLE, SCHEMA_TOO_NEW after a newer program's upgrade, SCHEMA_TOO_OLD,
 * MIGRATION_FAILED, STORE_DAMAGED
 */
export async function migrate(url: string, which: 'upgrade' | 'keep' = 'upgrade'): Promise<void> {
  const client = connectionTo(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    if (isCatalogueLost(error)) throw catalogueDamaged(error);
    const sentence = `The database cannot be used: ${explain(error)}.`;
    throw new Failure('failed-precondition', 'DATABASE_UNREACHABLE', sentence);
  }
  try {
    await refuseNewerSchema(client);
    await refuseOtherList(client);
    if (which === 'keep') await refuseOlderSchema(client);
    // The library asks for the rights of an owner even if there is nothing to do.
    if ((await appliedMigrations(client)).length === ownMigrations().length) return;
    const silent = () => undefined;
    await runner({
      dbClient: client,
      dir: FOLDER,
      migrationsTable: MIGRATION_TABLE,
      direction: 'up',
      advisoryLockMode: 'wait',
      logger: { debug: silent, info: silent, warn: silent, error: silent },
    });
    // Checked again: a newer program may have upgraded the schema while this one waited for the lock.
    await refuseNewerSchema(client);
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    if (isDamage(cause)) throw asStoreFailure(cause);
    // The library rewords the errors it meets.
    if (isOfCatalogue(damagedPlaceOf(cause))) throw catalogueDamaged(cause);
    const code = (cause as { code?: unknown }).code;
    const told = typeof code === 'string' ? `: ${explain(cause)}` : '';
    const isForbidden = code === '42501' || /permission denied|must be owner/.test(String(cause));
    const why = isForbidden
      ? ': its user may not change its schema; RIDGEWATCH_DATABASE_OWNER_URL names one that may'
      : told;
    const sentence = `The database schema could not be brought up to date${why}.`;
    throw new Failure('failed-precondition', 'MIGRATION_FAILED', sentence, { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** An unknown migration was applied by a newer program, whose schema this program cannot serve. */
async function refuseNewerSchema(client: pg.Client): Promise<void> {
  const known = new Set(ownMigrations());
  const unknown = (await appliedMigrations(client)).find((name) => !known.has(name));
  if (unknown === undefined) return;
  const sentence = `The database was brought to schema ${unknown} by a newer ridgewatch: use that one, or another database.`;
  throw new Failure('failed-precondition', 'SCHEMA_TOO_NEW', sentence);
}

/** @throws Failure STORE_DAMAGED: applying the migrations again would fail on the existing tables */
async function refuseOtherList(client: pg.Client): Promise<void> {
  if (await isListWrong(client)) throw listDamaged();
}

/** Whether the list of migrations disagrees with the applied ones: it is empty or has a gap. */
export async function isListWrong(client: Pick<pg.ClientBase, 'query'>): Promise<boolean> {
  // In this order: while another program migrates, tables and list appear together.
  const { rows } = await client.query<{ present: string | null }>("SELECT to_regclass('subject') AS present");
  if (rows[0]?.present === null) return false;
  const applied = await appliedMigrations(client);
  return applied.length === 0 || ownMigrations().some((name, i) => i < applied.length && applied[i] !== name);
}

function listDamaged(): Failure {
  const sentence = `The table ${MIGRATION_TABLE} is damaged: what it lists are not the migrations that the database has; nothing was changed. ridgewatch store check --repair makes the list anew from the schema, and nothing is lost by that.`;
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata: { table: MIGRATION_TABLE } });
}

async function refuseOlderSchema(client: pg.Client): Promise<void> {
  const applied = await appliedMigrations(client);
  if (applied.length === 0 || applied.length === ownMigrations().length) return;
  const sentence = `The database has schema ${applied.at(-1)} of an older ridgewatch, and a service may run on it: start the service of this version first, which brings it up to date.`;
  throw new Failure('failed-precondition', 'SCHEMA_TOO_OLD', sentence);
}

/** The rows of an older program have no MACs yet; the service of this version makes them at its start. */
export function rowsUnsigned(): Failure {
  const sentence =
    'The rows of an older ridgewatch are not signed yet, or a service is signing them now: start the service of this version first, and let it come to the end of its start.';
  return new Failure('failed-precondition', 'SCHEMA_TOO_OLD', sentence);
}

/** Names of this program's migrations, in order. */
export function ownMigrations(): string[] {
  return readdirSync(FOLDER)
    .map((file) => file.replace(/\.sql$/, ''))
    .sort();
}

export function migrationFile(name: string): string {
  return join(FOLDER, `${name}.sql`);
}

/** Names of the applied migrations, in order; none in an empty database. */
async function appliedMigrations(client: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rows: tables } = await client.query('SELECT to_regclass($1) AS present', [MIGRATION_TABLE]);
  if ((tables as { present: string | null }[])[0]?.present === null) return [];
  const { rows } = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATION_TABLE} ORDER BY id`);
  return rows.map(({ name }) => name);
}
