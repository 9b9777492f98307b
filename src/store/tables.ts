/** The tables of the schema, read from the database. */
import type pg from 'pg';
import { MIGRATION_TABLE } from './migrations.ts';

interface TableRow {
  readonly name: string;
  /** Tables that its foreign keys reference. */
  readonly targets: string[];
}

/**
 * All tables of the store, referenced tables first. The list of migrations is left out: it belongs to the schema, not
 * to the contents.
 */
export async function readTables(client: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rows } = await client.query<TableRow>(
    `SELECT c.relname AS name, ARRAY(
       SELECT DISTINCT t.relname::text FROM pg_constraint f JOIN pg_class t ON t.oid = f.confrelid
       WHERE f.conrelid = c.oid AND f.contype = 'f' AND t.oid <> c.oid) AS targets
     FROM pg_class c
     WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'subject'::regclass)
       AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> $1
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
     ORDER BY c.relname COLLATE "C"`,
    [MIGRATION_TABLE],
  );
  return inOrder(rows);
}

/** All tables, including the list of migrations; none if there is no schema. */
export async function readAllTables(client: Pick<pg.ClientBase, 'query'>): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relname = $1 AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass('subject'))`,
    [MIGRATION_TABLE],
  );
  const own = rows.map(({ name }) => name);
  return own.length === 0 ? [] : [...own, ...(await readTables(client))];
}

function inOrder(tables: readonly TableRow[]): string[] {
  const ordered: string[] = [];
  let left = [...tables];
  while (left.length > 0) {
    const names = new Set(left.map(({ name }) => name));
    const free = left.filter(({ targets }) => !targets.some((target) => names.has(target)));
    // Tables that reference each other have no order; filling them reports the error.
    const next = free.length > 0 ? free : left;
    ordered.push(...next.map(({ name }) => name));
    left = left.filter((table) => !next.includes(table));
  }
  return ordered;
}
