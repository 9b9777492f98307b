import pg from 'pg';
import { Failure } from '../failure.ts';

const CONNECT_TIMEOUT_MS = 5000;

/**
 * Makes sure that a database can be used before anything is built on it.
 * @throws Failure DATABASE_URL_INVALID, DATABASE_UNREACHABLE: one sentence without the password
 */
export async function probeDatabase(url: string): Promise<void> {
  const place = describe(url);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } catch (error) {
    const sentence = `The database at ${place} (DATABASE_URL) cannot be used: ${explain(error)}.`;
    throw new Failure('failed-precondition', 'DATABASE_UNREACHABLE', sentence);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Host, port and database of a URL: what may be shown. */
function describe(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid('it is not a URL');
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw invalid('it does not start with postgres://');
  return `${parsed.hostname || 'localhost'}:${parsed.port || '5432'}${parsed.pathname}`;
}

function invalid(why: string): Failure {
  const sentence = `DATABASE_URL cannot be used: ${why}; it looks like postgres://user:password@host:5432/database.`;
  return new Failure('invalid-argument', 'DATABASE_URL_INVALID', sentence);
}

function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host';
    case 'ETIMEDOUT':
      return 'it does not answer';
    case '28P01':
    case '28000':
      return 'it refuses the user or the password';
    case '3D000':
      return 'there is no database of this name';
    case '57P03':
      return 'it is starting up or shutting down';
    default:
      return message?.includes('timeout') ? 'it does not answer' : `it gave the error ${code ?? 'unknown'}`;
  }
}
