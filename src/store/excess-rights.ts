/** What a database role may do beyond what the service needs, whatever gives it the right. */
import type pg from 'pg';
import { STORE_SCHEMA } from './granted-rights.ts';
import { rightsOn, SERVICE_GRANTS } from './service-grants.ts';

type Client = Pick<pg.ClientBase, 'query'>;

/** Predefined roles whose members act as the operating system's user of the database. */
const OUTSIDE = ['pg_execute_server_program', 'pg_write_server_files'];
const ON_TABLES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];
const ON_COLUMNS = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'];
/** PostgreSQL 17 has a further right on tables, to rebuild and to vacuum them. */
const MAINTAIN_SINCE = 170_000;

/** The roles that the connection's user has, or may take on by SET ROLE. */
const HELD = `held AS (SELECT oid, rolname, rolcreaterole, rolreplication FROM pg_roles
    WHERE pg_has_role(current_user, oid, 'MEMBER') OR pg_has_role(session_user, oid, 'MEMBER'))`;

const POWERS = `WITH ${HELD}
  SELECT 'may make roles' AS power FROM held WHERE rolcreaterole
  UNION SELECT 'may read the whole database by replication' FROM held WHERE rolreplication
  UNION SELECT 'is a member of ' || rolname FROM held WHERE rolname = ANY($1)
  UNION SELECT 'owns the database' FROM pg_database JOIN held ON held.oid = datdba WHERE datname = current_database()
  UNION SELECT 'may create schemas in the database' FROM held
    WHERE has_database_privilege(held.oid, current_database(), 'CREATE')
  UNION SELECT 'owns the schema ' || nspname FROM pg_namespace n JOIN held ON held.oid = nspowner
    WHERE n.oid = ${STORE_SCHEMA}
  UNION SELECT 'may create objects in the schema ' || nspname FROM pg_namespace n, held
    WHERE n.oid = ${STORE_SCHEMA} AND has_schema_privilege(held.oid, n.oid, 'CREATE')
  UNION SELECT 'owns the table ' || relname FROM pg_class JOIN held ON held.oid = relowner
    WHERE relnamespace = ${STORE_SCHEMA} AND relname = ANY($2)
  UNION SELECT 'owns the function ' || proname FROM pg_proc JOIN held ON held.oid = proowner
    WHERE pronamespace = ${STORE_SCHEMA}
  ORDER BY 1`;

/** Columns without rights of their own have those of the table. */
const RIGHTS = `WITH ${HELD}, stored AS (SELECT oid, relname FROM pg_class
    WHERE relnamespace = ${STORE_SCHEMA} AND relname = ANY($1) AND relkind IN ('r', 'p'))
  SELECT DISTINCT s.relname AS "table", p.privilege, NULL AS "column" FROM stored s, unnest($2::text[]) p(privilege), held
    WHERE has_table_privilege(held.oid, s.oid, p.privilege)
  UNION SELECT s.relname, p.privilege, a.attname FROM stored s JOIN pg_attribute a ON a.attrelid = s.oid AND a.attnum > 0
    AND a.attacl IS NOT NULL AND NOT a.attisdropped, unnest($3::text[]) p(privilege), held
    WHERE has_column_privilege(held.oid, s.oid, a.attnum, p.privilege)
  ORDER BY 1, 2, 3`;

/**
 * Looks at the rights of the connection's user, including those of roles it belongs to and those of PUBLIC.
 * @returns a predicate for each excess, such as `owns the table audit_record`; empty: it may do no more than the service
 * needs
 */
export async function excessOf(client: Client): Promise<string[]> {
  const { rows: users } = await client.query<{ unlimited: boolean; version: number }>(
    `SELECT bool_or(rolsuper) AS unlimited, current_setting('server_version_num')::int AS version
     FROM pg_roles WHERE rolname IN (current_user, session_user)`,
  );
  // Every question about a right of a superuser is answered with yes.
  if (users[0]?.unlimited !== false) return ['is a superuser'];
  const tables = Object.keys(SERVICE_GRANTS);
  const { rows: powers } = await client.query<{ power: string }>(POWERS, [OUTSIDE, tables]);
  const onTables = users[0].version < MAINTAIN_SINCE ? ON_TABLES : [...ON_TABLES, 'MAINTAIN'];
  const { rows } = await client.query<{ table: string; privilege: string; column: string | null }>(RIGHTS, [
    tables,
    onTables,
    ON_COLUMNS,
  ]);
  const found = new Set(powers.map(({ power }) => power));
  for (const { table, privilege, column } of rows) {
    const isListed = rightsOn(table).some(
      (one) => one.privilege === privilege && (one.column === undefined || one.column === column),
    );
    if (!isListed) found.add(`has ${privilege} on the table ${table}`);
  }
  return [...found];
}
