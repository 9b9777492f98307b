import type pg from 'pg';
import { isConnectionError, isCrowd, isRefusal } from './database-error.ts';
import { catalogueDamaged, isCatalogueLost } from './store-damage.ts';
import { asStoreFailure, commitOutcomeUnknown, storeBusy, storeUnavailable } from './store-failure.ts';

/** Keeps a connection in an unknown state from being reused. */
type Discard = (reason: unknown) => void;

/** All statements of a read see one state. */
export const READ_ONLY = 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * Runs work in one transaction: all of it is durable when this resolves, and nothing of it when this rejects. The one
 * exception is a connection that breaks during the commit of a change; it has its own failure.
 * @param mode - empty: a change; else READ_ONLY
 * @throws Failure
 */
export function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
  mode: '' | typeof READ_ONLY = '',
): Promise<T> {
  return withConnection(pool, async (client, discard) => {
    await client.query(`BEGIN ${mode}`);
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      // A connection that cannot even roll back is discarded.
      if (!isConnectionError(error)) await client.query('ROLLBACK').catch(discard);
      throw error;
    }
    await commit(client, mode === '', discard);
    return result;
  });
}

/** Runs reads in a transaction that is rolled back. @throws Failure */
export function undone<T>(pool: pg.Pool, look: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  return withConnection(pool, async (client, discard) => {
    await client.query('BEGIN');
    try {
      return await look(client);
    } finally {
      await client.query('ROLLBACK').catch(discard);
    }
  });
}

/** Removes the statement time limit for the rest of a transaction that reads or writes whole tables. */
export async function withoutTimeLimit(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  await client.query('SET LOCAL statement_timeout = 0');
}

async function commit(client: pg.PoolClient, changes: boolean, discard: Discard): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query('COMMIT'));
  } catch (error) {
    if (isRefusal(error)) throw error;
    discard(error);
    // Only an answer of the database proves that nothing was changed; a missing answer does not.
    throw changes ? commitOutcomeUnknown() : error;
  }
  // After a failed statement, COMMIT answers ROLLBACK without an error: it must not count as committed.
  if (command !== 'COMMIT') throw new Error('the commit became a rollback');
}

/**
 * Lends a connection of the pool, and removes it from the pool if it broke meanwhile. Sufficient for a single
 * statement.
 * @throws Failure for every error
 */
export async function withConnection<T>(
  pool: pg.Pool,
  use: (client: pg.PoolClient, discard: Discard) => Promise<T>,
): Promise<T> {
  let client: pg.PoolClient;
  try {
    client = await pool.connect();
  } catch (error) {
    if (isCrowd(error)) throw storeBusy();
    // Refused, unreachable, a changed password, a dropped database: callers can neither distinguish nor fix these.
    throw isCatalogueLost(error) ? catalogueDamaged(error) : storeUnavailable(error);
  }
  let broken = false;
  const discard = () => void (broken = true);
  client.on('error', discard);
  try {
    return await use(client, discard);
  } catch (error) {
    if (isConnectionError(error)) discard();
    throw asStoreFailure(error);
  } finally {
    client.off('error', discard);
    client.release(broken);
  }
}

/** Wraps a callback to distinguish its errors from the store's. */
type Guard = <Arguments extends unknown[]>(
  callback: (...given: Arguments) => Promise<void>,
) => (...given: Arguments) => Promise<void>;

/**
 * Runs work with callbacks to its caller. Errors of a callback are not the store's and are rethrown unchanged.
 * @throws the error of a callback, otherwise the error of the work
 */
export async function withCallbacks<T>(work: (guard: Guard) => Promise<T>): Promise<T> {
  const thrown: unknown[] = [];
  const guard: Guard =
    (callback) =>
    async (...given) => {
      try {
        await callback(...given);
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    };
  try {
    return await work(guard);
  } catch (error) {
    throw thrown.length > 0 ? thrown[0] : error;
  }
}
