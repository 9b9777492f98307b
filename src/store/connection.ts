/**
 * Connections to the database, configured by their URL alone. By default pg reads what the URL omits from the
 * environment (PGHOST, PGOPTIONS, PGSSLMODE, …), and passwords from a file in the home directory.
 */
import { userInfo } from 'node:os';
import pg from 'pg';
import { parse } from 'pg-connection-string';
import { Failure } from '../failure.ts';

const CONNECT_TIMEOUT_MS = 5000;
const APPLICATION = 'ridgewatch';
/** Session settings that a URL may contain. */
const SESSION_SETTINGS = [
  ...['application_name', 'fallback_application_name', 'options', 'client_encoding', 'sslnegotiation'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'query_timeout'],
];
const NO_TLS: readonly unknown[] = [undefined, null, false, 'false', '0', 'off', 'no'];

/** A client that ignores the environment. */
class IsolatedClient extends pg.Client {
  constructor(options: pg.ClientConfig = {}) {
    // pg reads the variables in the constructor, synchronously.
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
 * @param limits - timeouts that replace the default ones
 * @throws Failure DATABASE_URL_INVALID; an error of a file that the URL names
 */
export function connectionTo(
  url: string,
  limits: Pick<pg.ClientConfig, 'connectionTimeoutMillis' | 'query_timeout'> = {},
): pg.Client {
  return new IsolatedClient({ ...optionsOf(url), ...limits });
}

/** Options of a pool of such clients. @throws Failure DATABASE_URL_INVALID; an error of a file that the URL names */
export function poolOptions(url: string, max: number): pg.PoolConfig {
  return { ...optionsOf(url), max, Client: IsolatedClient };
}

function optionsOf(url: string): pg.ClientConfig {
  const { user, password, host, port, database, ssl, ...others } = parse(url);
  const userName = user || ownName();
  // For null, pg reads ~/.pgpass.
  const passwordOrNone = password || (() => '');
  return {
    application_name: APPLICATION,
    ...Object.fromEntries(SESSION_SETTINGS.flatMap((name) => (others[name] ? [[name, others[name]]] : []))),
    user: userName,
    password: passwordOrNone,
    host: host || 'localhost',
    port: Number(port || 5432),
    database: database || userName,
    ssl: tlsOptions(ssl),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  };
}

/** Certificates are checked unless the URL disables it, whatever NODE_TLS_REJECT_UNAUTHORIZED is set to. */
function tlsOptions(ssl: unknown): pg.ClientConfig['ssl'] {
  if (NO_TLS.includes(ssl)) return false;
  if (ssl === 'no-verify') return { rejectUnauthorized: false };
  return { rejectUnauthorized: true, ...(typeof ssl === 'object' && ssl) };
}

/** The name of the process's user, not $USER: PostgreSQL's own programs do the same. */
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
