/** Pools of connections to the store's database. */
import pg from 'pg';
import { poolOptions } from './connection.ts';
import type { StoreLog } from './database-server.ts';

/**
 * Limits every wait on the database, unless its URL or its administrator has set another limit: for a statement, for a
 * lock, and for an idle transaction. Reads of whole tables disable the first limit for themselves.
 */
const TIME_LIMITS = `SELECT set_config(name, own, false)
  FROM (VALUES ('statement_timeout', '30s'), ('lock_timeout', '10s'), ('idle_in_transaction_session_timeout', '10min'))
    AS limits (name, own) WHERE current_setting(name) = '0'`;

/** A pool, and the backends of the database that it is connected to. */
export interface StorePool {
  readonly pool: pg.Pool;
  isOwn(backend: unknown): boolean;
  /** Can be called repeatedly. */
  end(): Promise<void>;
}

/** @param size - largest number of connections */
export function makePool(url: string, size: number, log: StoreLog): StorePool {
  const pool = new pg.Pool({
    ...poolOptions(url, size),
    keepAliveInitialDelayMillis: 10_000,
    // pg awaits it, despite its types: no connection is lent without limits.
    onConnect: ((client: pg.ClientBase) => client.query(TIME_LIMITS)) as unknown as (client: pg.ClientBase) => void,
  });
  // A broken idle connection is replaced at the next query; without a listener its error would end the process. During
  // closing, broken connections are not worth a warning.
  let ended: Promise<void> | undefined;
  pool.on('error', () => {
    if (ended === undefined) log({ level: 'warn', message: 'a connection to the store was lost' });
  });
  // A new connection has no error listener between its first answer and its first use. An error in the same packet as
  // that answer would end the process, too. The first use reports the broken connection.
  const own = new Set<unknown>();
  pool.on('connect', (client) => {
    client.on('error', () => undefined);
    own.add(backendOf(client));
  });
  pool.on('remove', (client) => own.delete(backendOf(client)));
  return { pool, isOwn: (backend) => own.has(backend), end: () => (ended ??= pool.end()) };
}

/** The process id of a connection's backend, which pg's types omit. */
function backendOf(client: pg.ClientBase): unknown {
  return (client as { processID?: unknown }).processID;
}
