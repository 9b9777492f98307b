/** Classifies errors of pg and of PostgreSQL. */
import pg from 'pg';
import { Failure } from '../failure.ts';

/**
 * SQLSTATEs of a lost database or connection: class 08 connection exceptions, 57P operator intervention, too many
 * connections, and a connection ended because its transaction took too long.
 */
const GONE = /^(08|57P|53300$|25P0[34]$)/;
/** SQLSTATE classes that reject a value: 22 data exceptions, 23 constraint violations. */
const REFUSED_VALUE = /^2[23]/;

const NETWORK = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
]);

/** Messages of pg's errors without a code. */
const GONE_WITHOUT_CODE =
  /^Connection terminated|^timeout exceeded when trying to connect|^timeout expired|^Query read timeout|^Client has encountered a connection error|^Client was closed|^Cannot use a pool after calling end/;

/** Whether the connection to the database is lost or could not be made. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return GONE.test(code) || NETWORK.has(code);
  return GONE_WITHOUT_CODE.test(error.message);
}

/** Whether the database itself answered with an error, other than its shutdown: it did not execute the request. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !isConnectionError(error);
}

/** Whether the database rejected a value: another record could have been accepted. */
export function isRefusedValue(error: unknown): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && REFUSED_VALUE.test(code);
}

/** Whether all connections of the pool were in use for the whole waiting time: the database was not asked. */
export function isCrowd(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof Failure ? error.detail.metadata?.['sqlstate'] : undefined;
}

/** An error's kind and stack, without its message. */
export function withoutValues(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('something was thrown that is no error');
  const { code, table, constraint, routine } = error as Partial<pg.DatabaseError>;
  const facts = Object.entries({ code, table, constraint, routine }).filter(([, value]) => value !== undefined);
  const told = new Error([error.name, ...facts.map(([name, value]) => `${name} ${String(value)}`)].join(', '));
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  told.stack = [`Error: ${told.message}`, ...frames].join('\n');
  return told;
}
