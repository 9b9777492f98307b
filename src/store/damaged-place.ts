/** Names the damaged table in errors that keep the store from opening, and the remedy. */
import type pg from 'pg';
import { Failure } from '../failure.ts';
import { damagedPlaceOf, isDamage } from './store-damage.ts';

/** Adds the name of the table to a failure about damage; returns other errors unchanged. */
export async function withPlace(pool: pg.Pool, error: unknown): Promise<unknown> {
  if (!(error instanceof Failure) || !isDamage(error)) return error;
  const { file, block, index } = damagedPlaceOf(error);
  const place = await nameOf(pool, file, index).catch(() => undefined);
  if (place === undefined) return error;
  const where = block === undefined ? place : `Block ${block} of ${place}`;
  const named = `${where[0]?.toUpperCase()}${where.slice(1)} is damaged`;
  const sentence = `${named}; nothing was changed. ridgewatch store check says everything that is; --repair mends what can be mended without a loss, and what --expunge would lose a backup brings back (ridgewatch restore, into an empty store).`;
  const metadata = { ...error.detail.metadata, damage: named };
  return new Failure(error.kind, error.reason, sentence, { ...error.detail, metadata });
}

async function nameOf(pool: pg.Pool, file: string | undefined, index: string | undefined): Promise<string | undefined> {
  const { rows } = await pool.query<{ name: string; kind: string; table: string }>(
    `SELECT c.relname AS name, c.relkind AS kind, coalesce(i.indrelid, t.oid, c.oid)::regclass::text AS "table"
     FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.reltoastrelid = c.oid
     WHERE pg_relation_filepath(c.oid) = $1 OR (c.relname = $2 AND c.relkind = 'i') LIMIT 1`,
    [file ?? null, index ?? null],
  );
  const [found] = rows;
  if (found === undefined) return undefined;
  if (found.kind === 'i') return `the index ${found.name} of the table ${found.table}`;
  if (found.kind === 'S') return `the sequence ${found.name}`;
  return `the table ${found.table}`;
}
