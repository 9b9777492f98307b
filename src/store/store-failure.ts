import pg from 'pg';
import { Failure } from '../failure.ts';

const RETRY_AFTER_MS = 1000;
const UNIQUE_VIOLATION = '23505';
const DEADLOCK = '40P01';
const SERIALISATION = '40001';
/**
 * SQLSTATEs that mean the database is going away or not there: class 08 connection, 57P operator intervention, and
 * no connection left.
 */
const GONE = /^(08|57P|53300$)/;
/** Classes of SQLSTATE that find fault with a value: 22 data, 23 constraints. */
const REFUSED_VALUE = /^2[23]/;
const NETWORK = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
]);
/** What pg says without a code. */
const GONE_WITHOUT_CODE =
  /^Connection terminated|^timeout exceeded when trying to connect|^Client has encountered a connection error|^Client was closed|^Cannot use a pool after calling end/;

/** Whether an error says that the connection to the database is gone or was never there. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return GONE.test(code) || NETWORK.has(code);
  return GONE_WITHOUT_CODE.test(error.message);
}

/** Whether the database itself answered, and not that it is going away: then it did not do what was asked. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !isConnectionError(error);
}

/** Whether the database found fault with a value: another record would have been taken. */
export function isRefusedValue(error: unknown): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && REFUSED_VALUE.test(code);
}

function sqlStateOf(error: unknown): string | undefined {
  return error instanceof Failure ? error.detail.metadata?.['sqlstate'] : undefined;
}

/**
 * Turns an error of the database into a failure. Messages and details of the database quote row values, templates
 * among them, and failures are logged with their causes: so neither is passed on, only the SQLSTATE and what it names
 * of the schema.
 */
export function asStoreFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (isConnectionError(error)) return storeUnavailable();
  const { code, constraint } = error instanceof pg.DatabaseError ? error : { code: undefined, constraint: undefined };
  if (code === UNIQUE_VIOLATION && constraint === 'subject_contributor_external_id_key') return externalIdTaken();
  if (code === DEADLOCK || code === SERIALISATION) return changeCollided();
  const metadata: Record<string, string> = code === undefined ? {} : { sqlstate: code };
  return new Failure('internal', 'STORE_ERROR', 'The store met an error; nothing was changed.', {
    metadata,
    cause: withoutValues(error),
  });
}

/** An error's kind and where it came from, without its words. */
function withoutValues(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('something was thrown that is no error');
  const { code, table, constraint, routine } = error as Partial<pg.DatabaseError>;
  const facts = Object.entries({ code, table, constraint, routine }).filter(([, value]) => value !== undefined);
  const told = new Error([error.name, ...facts.map(([name, value]) => `${name} ${String(value)}`)].join(', '));
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  told.stack = [`Error: ${told.message}`, ...frames].join('\n');
  return told;
}

export function storeUnavailable(): Failure {
  const sentence = 'The store cannot be reached; nothing was changed.';
  return new Failure('unavailable', 'STORE_UNAVAILABLE', sentence, { retryAfterMs: RETRY_AFTER_MS });
}

export function changeCollided(): Failure {
  const sentence = 'The change collided with another one; nothing was changed.';
  return new Failure('aborted', 'CHANGE_COLLIDED', sentence, { retryAfterMs: 50 });
}

export function externalIdTaken(): Failure {
  const sentence = 'The contributor has a subject with this external id.';
  return new Failure('already-exists', 'EXTERNAL_ID_TAKEN', sentence, { field: 'data.external_id' });
}

export function requestIdReused(): Failure {
  const sentence = 'This request id was used for an enrolment with other content.';
  return new Failure('already-exists', 'CLIENT_REQUEST_ID_REUSED', sentence, { field: 'client_request_id' });
}

export function subjectExpunged(): Failure {
  const sentence = 'The subject enrolled by this request was expunged since; a repetition does not bring it back.';
  return new Failure('failed-precondition', 'SUBJECT_EXPUNGED', sentence, { field: 'client_request_id' });
}

export function subjectNotFound(): Failure {
  return new Failure('not-found', 'SUBJECT_NOT_FOUND', 'There is no subject with this id.', { field: 'subject_id' });
}

export function versionMismatch(present: number): Failure {
  const sentence = 'The subject was changed since the version that the update is based on.';
  return new Failure('aborted', 'VERSION_MISMATCH', sentence, {
    field: 'expected_version',
    metadata: { present_version: String(present) },
  });
}

/** The connection broke while the commit was under way: it may have happened or not. */
export function commitOutcomeUnknown(): Failure {
  const sentence =
    'The connection to the store broke during the commit; the change may have been made. Repeating it under the same request id is safe.';
  return new Failure('unavailable', 'COMMIT_OUTCOME_UNKNOWN', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
