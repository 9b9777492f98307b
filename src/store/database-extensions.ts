/** PostgreSQL extensions for checks of the store. */
import pg from 'pg';

/**
 * Creates an extension, in a transaction that is rolled back.
 * @returns whether it exists and the database user may use it
 */
export async function hasExtension(
  client: Pick<pg.ClientBase, 'query'>,
  name: 'pageinspect' | 'amcheck',
): Promise<boolean> {
  await client.query('SAVEPOINT extending');
  try {
    await client.query(`CREATE EXTENSION IF NOT EXISTS ${name}`);
    const { rows } = await client.query<{ may: boolean }>(
      `SELECT bool_and(has_function_privilege(p.oid, 'execute')) AS may FROM pg_proc p
       JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid
       WHERE e.extname = $1 AND p.proname IN ('get_raw_page', 'bt_index_check')`,
      [name],
    );
    return rows[0]?.may === true;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    await client.query('ROLLBACK TO SAVEPOINT extending');
    return false;
  } finally {
    await client.query('RELEASE SAVEPOINT extending');
  }
}
