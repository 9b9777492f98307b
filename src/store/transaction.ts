import type pg from 'pg';
import {
  asStoreFailure,
  catalogueDamaged,
  commitOutcomeUnknown,
  isConnectionError,
  isCrowd,
  isCatalogueLost,
  isRefusal,
  storeBusy,
  storeUnavailable,
} from './store-failure.ts';

/** Keeps a connection in an unknown state from being lent again. */
type Discard = (reason: unknown) => void;

/** All statements of a read see one state. */
export const READ_ONLY = 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * Runs work in one transaction: all of it is on disk when this resolves, nothing of it when it rejects. The one
 * exception is a connection that breaks during the commit of a change, which is reported as such.
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
      // A connection that cannot even roll back is not given to anybody else.
      if (!isConnectionError(error)) await client.query('ROLLBACK').catch(discard);
      throw error;
    }
    await commit(client, mode === '', discard);
    return result;
  });
}

/** Looks at something in a transaction that is rolled back. @throws Failure */
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

/** For the rest of a transaction: it reads or writes whole tables, which may take as long as it takes. */
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
    // Only the database's own word tells that nothing was changed; silence, however it came about, does not.
    throw changes ? commitOutcomeUnknown() : error;
  }
  // The answer to the commit of a transaction in which a statement had failed: it must not be taken for done.
  if (command !== 'COMMIT') throw new Error('the commit became a rollback');
}

/**
 * Lends a connection of the pool, and takes it out of the pool when it broke meanwhile. Enough for a single statement.
 * @throws Failure whatever goes wrong
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
    // Refused, unreachable, a password that was changed, a database that was dropped: no caller can tell or mend that.
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

/** Makes a callback whose errors are told from the store's. */
type Guard = <Arguments extends unknown[]>(
  callback: (...given: Arguments) => Promise<void>,
) => (...given: Arguments) => Promise<void>;

/**
 * Runs work that calls its caller back: what such a callback throws is not the store's, and comes out as it is.
 * @throws what a callback has thrown, else what the work throws
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
