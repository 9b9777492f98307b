import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { connectionTo } from './connection.ts';
import { catalogueDamaged, isCatalogueLost } from './store-damage.ts';

/** Waits between attempts, in milliseconds: a database started together with the service needs a moment. */
const PATIENCE_MS = [250, 500, 1000] as const;
/** Settings that name a database. */
type UrlSetting = 'DATABASE_URL' | 'RIDGEWATCH_DATABASE_OWNER_URL';
/** Codes of a database that does not listen yet or is starting up. */
const STARTING = new Set(['ECONNREFUSED', '57P03']);

/**
 * Checks that a database can be used.
 * @param setting - that has the URL
 * @throws Failure DATABASE_URL_INVALID, DATABASE_UNREACHABLE, STORE_DAMAGED: one sentence without the password
 */
export async function probeDatabase(url: string, setting: UrlSetting = 'DATABASE_URL'): Promise<void> {
  const place = describe(url, setting);
  for (let attempt = 0; ; attempt++) {
    try {
      await connectOnce(url);
      return;
    } catch (error) {
      if (isCatalogueLost(error)) throw catalogueDamaged(error);
      const wait = PATIENCE_MS[attempt];
      if (wait === undefined || !STARTING.has((error as { code?: string }).code ?? '')) {
        const sentence = `The database at ${place} (${setting}) cannot be used: ${explain(error)}.`;
        throw new Failure('failed-precondition', 'DATABASE_UNREACHABLE', sentence, { field: setting });
      }
      await delay(wait);
    }
  }
}

async function connectOnce(url: string): Promise<void> {
  // This reads files named by the URL and can fail, too.
  const client = connectionTo(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Host, port and database of a URL: the parts that may be shown. */
function describe(url: string, setting: UrlSetting): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw invalid(setting, 'it is not a URL');
  }
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw invalid(setting, 'it does not start with postgres://');
  // A '/', '?' or '#' in a password ends the host: the rest of the password would be shown as part of the path.
  if (parsed.username === '' && /@/.test(parsed.pathname + parsed.search + parsed.hash))
    throw invalid(setting, 'its user or password holds a character that has to be percent-encoded (%2F for /)');
  return `${parsed.hostname || 'localhost'}:${parsed.port || '5432'}${parsed.pathname}`;
}

function invalid(setting: UrlSetting, why: string): Failure {
  const sentence = `${setting} cannot be used: ${why}; it looks like postgres://user:password@host:5432/database.`;
  return new Failure('invalid-argument', 'DATABASE_URL_INVALID', sentence, { field: setting });
}

/** Explains a failed connection, as the end of a sentence. Quotes nothing. */
export function explain(error: unknown): string {
  const { code, message = '' } = error as { code?: string; message?: string };
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to this host';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'it closed the connection';
    case 'ETIMEDOUT':
      return 'it does not answer';
    case 'ENOENT':
    case 'EACCES':
      return 'a socket or a file that the URL names cannot be opened';
    case '28P01':
    case '28000':
      return 'it refuses the user or the password';
    case '3D000':
      return 'there is no database of this name';
    case '42501':
      return 'the user may not do what is needed';
    case '53300':
      return 'it has no connection left';
    case '53100':
      return 'its disk is full';
    case 'XX001':
    case 'XX002':
      return `its catalogue was damaged on the disk (error ${code}): restore a backup into an empty database, or, where only an index of the catalogue is damaged, have an administrator REINDEX SYSTEM with ignore_system_indexes = on`;
    case '57P03':
      return 'it is starting up or shutting down';
    case undefined:
      return explainWords(message);
    default:
      return `it gave the error ${code}`;
  }
}

/** pg reports these without a code. */
function explainWords(message: string): string {
  if (message.includes('timeout')) return 'it does not answer';
  if (message.includes('does not support SSL')) return 'it does not offer TLS, which the URL asks for';
  if (message.includes('password must be a')) return 'it asks for a password, and the URL has none';
  if (message.startsWith('Connection terminated')) return 'it closed the connection';
  return 'it does not speak as a PostgreSQL server does';
}
