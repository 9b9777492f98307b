/**
 * Connections to the database, made from their URL alone. pg, left to itself, takes from the environment what a URL does
 * not say (PGHOST, PGOPTIONS, PGSSLMODE, …), and passwords from a file in the home directory.
 */
import { userInfo } from 'node:os';
import pg from 'pg';
import { parse } from 'pg-connection-string';
import { Failure } from '../failure.ts';

const CONNECT_TIMEOUT_MS = 5000;
const APPLICATION = 'ridgewatch';
/** What a URL may say about the session. */
const SESSION_SETTINGS = [
  ...['application_name', 'fallback_application_name', 'options', 'client_encoding', 'sslnegotiation'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'query_timeout'],
];
const NO_TLS: readonly unknown[] = [undefined, null, false, 'false', '0', 'off', 'no'];

/** A client that takes nothing from the environment. */
class SettledClient extends pg.Client {
  constructor(options: pg.ClientConfig = {}) {
    // pg reads the variables while a client is made, in one turn.
    const hidden = hideVariables();
    try {
      super(options);
    } finally {
      Object.assign(process.env, hidden);
    }
  }
}

/**
 * A client that is not connected yet.
 * @param limits - times after which it gives up, where they are not to be the usual ones
 * @throws Failure DATABASE_URL_INVALID; an error of a file that the URL names
 */
export function connectionTo(
  url: string,
  limits: Pick<pg.ClientConfig, 'connectionTimeoutMillis' | 'query_timeout'> = {},
): pg.Client {
  return new SettledClient({ ...optionsOf(url), ...limits });
}

/** Options of a pool of such clients. @throws as above */
export function poolOptions(url: string, max: number): pg.PoolConfig {
  return { ...optionsOf(url), max, Client: SettledClient };
}

function optionsOf(url: string): pg.ClientConfig {
  const { user, password, host, port, database, ssl, ...others } = parse(url);
  const settledUser = user || ownName();
  // Null would be looked up in ~/.pgpass.
  const settledPassword = password || (() => '');
  return {
    application_name: APPLICATION,
    ...Object.fromEntries(SESSION_SETTINGS.flatMap((name) => (others[name] ? [[name, others[name]]] : []))),
    user: settledUser,
    password: settledPassword,
    host: host || 'localhost',
    port: Number(port || 5432),
    database: database || settledUser,
    ssl: settledTls(ssl),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  };
}

/** Certificates are checked unless the URL says otherwise, whatever NODE_TLS_REJECT_UNAUTHORIZED says. */
function settledTls(ssl: unknown): pg.ClientConfig['ssl'] {
  if (NO_TLS.includes(ssl)) return false;
  if (ssl === 'no-verify') return { rejectUnauthorized: false };
  return { rejectUnauthorized: true, ...(typeof ssl === 'object' && ssl) };
}

/** As PostgreSQL's own programs have it: the name of the process's user, not what USER says. */
function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    const sentence = 'DATABASE_URL cannot be used: it names no user, and the user of this process has no name.';
    throw new Failure('invalid-argument', 'DATABASE_URL_INVALID', sentence);
  }
}

function hideVariables(): Record<string, string> {
  const hidden: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined || !/^PG/i.test(name)) continue;
    hidden[name] = value;
    delete process.env[name];
  }
  return hidden;
}
