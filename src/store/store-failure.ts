import pg from 'pg';
import { Failure } from '../failure.ts';

const RETRY_AFTER_MS = 1000;
const UNIQUE_VIOLATION = '23505';
const DEADLOCK = '40P01';
const SERIALISATION = '40001';
/** Classes of SQLSTATE that mean the database is going away or not there: 08 connection, 57 operator intervention. */
const GONE = /^(08|57P)/;
const NETWORK = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN', 'ENOENT']);

/** Whether an error says that the connection to the database is gone or was never there. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return GONE.test(code) || NETWORK.has(code);
  // pg reports these without a code.
  return /^Connection terminated|^timeout exceeded when trying to connect|^Client has encountered a connection error/.test(
    error.message,
  );
}

/**
 * Turns an error of the database into a failure. Messages of the database can quote row values, so none is passed on:
 * only the SQLSTATE is.
 */
export function asStoreFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (isConnectionError(error)) {
    const sentence = 'The store cannot be reached; nothing was changed.';
    return new Failure('unavailable', 'STORE_UNAVAILABLE', sentence, { retryAfterMs: RETRY_AFTER_MS });
  }
  const { code, constraint } = error instanceof pg.DatabaseError ? error : { code: undefined, constraint: undefined };
  if (code === UNIQUE_VIOLATION && constraint === 'subject_contributor_external_id_key') return externalIdTaken();
  if (code === DEADLOCK || code === SERIALISATION) {
    const sentence = 'The change collided with another one; nothing was changed.';
    return new Failure('aborted', 'CHANGE_COLLIDED', sentence, { retryAfterMs: 50 });
  }
  const metadata: Record<string, string> = code === undefined ? {} : { sqlstate: code };
  return new Failure('internal', 'STORE_ERROR', 'The store met an error; nothing was changed.', {
    metadata,
    cause: error,
  });
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
