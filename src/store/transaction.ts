import type pg from 'pg';
import { asStoreFailure, commitOutcomeUnknown, isConnectionError } from './store-failure.ts';

/**
 * Runs work in one transaction: all of it is on disk when this resolves, nothing of it when it rejects. The one
 * exception is a connection that breaks during the commit, which is reported as such.
 * @param mode - e.g. `ISOLATION LEVEL REPEATABLE READ READ ONLY`
 * @throws Failure
 */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  mode = '',
): Promise<T> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    throw asStoreFailure(error);
  }
  let broken: Error | undefined;
  const onError = (error: Error) => (broken = error);
  client.on('error', onError);
  try {
    await client.query(`BEGIN ${mode}`);
    const result = await work(client);
    try {
      await client.query('COMMIT');
    } catch (error) {
      throw isConnectionError(error) ? commitOutcomeUnknown() : error;
    }
    return result;
  } catch (error) {
    if (isConnectionError(error)) broken = error as Error;
    else await client.query('ROLLBACK').catch((failed: unknown) => (broken = failed as Error));
    throw asStoreFailure(error);
  } finally {
    client.off('error', onError);
    // A connection in an unknown state is not given to anybody else.
    client.release(broken ?? false);
  }
}

/** Runs one query outside a transaction. @throws Failure */
export async function query<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  try {
    return (await pool.query<Row>(sql, [...values])).rows;
  } catch (error) {
    throw asStoreFailure(error);
  }
}
