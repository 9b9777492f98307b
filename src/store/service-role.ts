/** The service's role in the embedded database. */
import pg from 'pg';
import { connectionTo } from './connection.ts';
import { SERVICE_USER } from './cluster-credentials.ts';
import { inTransaction, withConnection } from './transaction.ts';

/** Programs that start together make it once; an arbitrary number of this program's locks. */
const MAKING = 7_213_400_814;
const REFUSED = /^28/;
const ATTRIBUTES = 'LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS';

/** Whether it exists with these attributes, and no role may make temporary tables but the database's owner. */
const IS_MADE = `SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin
  AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)
  AND NOT has_database_privilege(oid, current_database(), 'TEMPORARY')`;

/**
 * Makes the role, or makes it anew what it should be. Writes nothing if it is.
 * @param owner - connections of the superuser, which every PostgreSQL has to have
 * @param url - of the role, with its password
 */
export async function ensureServiceRole(owner: pg.Pool, url: string): Promise<void> {
  const isMade = await withConnection(owner, async (client) => (await client.query(IS_MADE, [SERVICE_USER])).rowCount);
  if (isMade === 1 && (await mayLogIn(url))) return;
  await inTransaction(owner, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [MAKING]);
    const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [SERVICE_USER]);
    const password = pg.escapeLiteral(new URL(url).password);
    await client.query(
      `${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${SERVICE_USER} ${ATTRIBUTES} PASSWORD ${password}`,
    );
    const { rows } = await client.query<{ name: string }>('SELECT quote_ident(current_database()) AS name');
    await client.query(`REVOKE TEMPORARY ON DATABASE ${rows[0]?.name} FROM PUBLIC`);
  });
}

/** Whether the database takes the password. Other errors are met by the next use. */
async function mayLogIn(url: string): Promise<boolean> {
  const client = connectionTo(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    return !(error instanceof pg.DatabaseError && REFUSED.test(error.code ?? ''));
  } finally {
    await client.end().catch(() => undefined);
  }
}
