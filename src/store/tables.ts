/** The tables of the schema, as the database itself knows them. */
import type pg from 'pg';
import { MIGRATION_TABLE } from './migrations.ts';

interface TableRow {
  readonly name: string;
  /** Tables that its rows point to. */
  readonly targets: string[];
}

/**
 * Every table with content of ours, in an order in which rows that others point to come first. The list of the migrations
 * is not among them: it belongs to the schema and not to what is kept in it.
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

/** The same, and the list of the migrations, as far as there is a schema. */
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
    // Tables that point at each other have no order; the database says so when they are filled.
    const next = free.length > 0 ? free : left;
    ordered.push(...next.map(({ name }) => name));
    left = left.filter((table) => !next.includes(table));
  }
  return ordered;
}
