/** Gives the service's database role the rights of its list, and takes all others on the store's tables. */
import pg from 'pg';
import { nameOf, rightsOn, SERVICE_GRANTS } from './service-grants.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Programs that start together do this one after the other; an arbitrary number of this program's locks. */
const GRANTING = 7_213_400_813;

/** A table whose granted rights are not those of the list. */
interface Difference {
  readonly table: string;
  /** As written in SQL. */
  readonly name: string;
  readonly missing: readonly string[];
  readonly surplus: readonly string[];
}

interface GrantedRow {
  readonly table: string;
  readonly name: string;
  /** Rights granted to the role itself; with a `*` those that it could pass on. */
  readonly rights: string[];
}

/** The schema of the store; none before the first migration. */
export const STORE_SCHEMA = "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('subject'))";

/** An owner's own rights are left: it could give them to itself again. */
const GRANTED = `SELECT c.relname AS "table", c.oid::regclass::text AS name, ARRAY(
     SELECT a.privilege_type || CASE WHEN a.is_grantable THEN '*' ELSE '' END FROM aclexplode(c.relacl) a
     WHERE a.grantee = r.oid
     UNION ALL SELECT concat(a.privilege_type, ' (', t.attname, ')', CASE WHEN a.is_grantable THEN '*' END)
     FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid AND NOT t.attisdropped AND a.grantee = r.oid
   ) AS rights
   FROM pg_class c, pg_roles r WHERE r.rolname = $1 AND c.relnamespace = ${STORE_SCHEMA}
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relowner <> r.oid ORDER BY 1`;

/**
 * Makes the rights of the role those of the list. Writes nothing where they are already.
 * @param client - of the tables' owner
 * @param role - its name
 * @param which - `missing`: takes no right, because a service of another version may be running
 * @returns the tables on which rights of the list are still missing: the client's user may not give them
 */
export async function grantRights(client: Client, role: string, which: 'all' | 'missing'): Promise<string[]> {
  if ((await differences(client, role, which)).length === 0 && (await mayEnter(client, role))) return [];
  await client.query('BEGIN');
  try {
    await client.query('SELECT pg_advisory_xact_lock($1)', [GRANTING]);
    const to = pg.escapeIdentifier(role);
    if (!(await mayEnter(client, role))) await client.query(`GRANT USAGE ON SCHEMA ${await schemaOf(client)} TO ${to}`);
    for (const { table, name, missing, surplus } of await differences(client, role, which)) {
      // It also takes the rights on columns.
      if (surplus.length > 0) await client.query(`REVOKE ALL ON ${name} FROM ${to}`);
      const rights = surplus.length > 0 ? (SERVICE_GRANTS[table] ?? []) : missing;
      if (rights.length > 0) await client.query(`GRANT ${rights.join(', ')} ON ${name} TO ${to}`);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  return (await differences(client, role, 'missing')).map(({ table }) => table);
}

async function differences(client: Client, role: string, which: 'all' | 'missing'): Promise<Difference[]> {
  const { rows } = await client.query<GrantedRow>(GRANTED, [role]);
  const found = rows.map(({ table, name, rights }): Difference => {
    const listed = rightsOn(table).map(nameOf);
    return {
      table,
      name,
      missing: listed.filter((right) => !rights.includes(right)),
      surplus: which === 'all' ? rights.filter((right) => !listed.includes(right)) : [],
    };
  });
  return found.filter(({ missing, surplus }) => missing.length + surplus.length > 0);
}

async function mayEnter(client: Client, role: string): Promise<boolean> {
  const sql = `SELECT has_schema_privilege($1::name, ${STORE_SCHEMA}, 'USAGE') AS may`;
  return (await client.query<{ may: boolean | null }>(sql, [role])).rows[0]?.may !== false;
}

async function schemaOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>(`SELECT ${STORE_SCHEMA}::regnamespace::text AS name`);
  return rows[0]?.name ?? 'public';
}
