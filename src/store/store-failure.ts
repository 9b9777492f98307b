import pg from 'pg';
import { Failure, type FailureKind } from '../failure.ts';
import { isConnectionError, withoutValues } from './database-error.ts';
import { catalogueDamaged, DAMAGED, damagedPlaceOf, isContradiction, isDamage, isOfCatalogue } from './store-damage.ts';
import { externalIdTaken } from './subject-failure.ts';

const RETRY_AFTER_MS = 1000;
/** Time in which an operator may free disk space, in milliseconds. */
const MENDED_AFTER_MS = 30_000;
const UNIQUE_VIOLATION = '23505';
const OUTCOME_UNKNOWN = '40003';

interface KnownState {
  readonly states: RegExp;
  readonly kind: FailureKind;
  readonly reason: string;
  readonly sentence: string;
  readonly retryAfterMs?: number;
}

/** Database errors that an operator can resolve while callers wait; the first match applies. */
const KNOWN_STATES: readonly KnownState[] = [
  {
    states: /^53100$/,
    kind: 'resource-exhausted',
    reason: 'STORE_FULL',
    sentence: 'The store has no space left on its disk; nothing was changed.',
    retryAfterMs: MENDED_AFTER_MS,
  },
  {
    states: /^53/,
    kind: 'resource-exhausted',
    reason: 'STORE_EXHAUSTED',
    sentence: 'The store has no memory or other resources left; nothing was changed.',
    retryAfterMs: RETRY_AFTER_MS,
  },
  {
    states: /^54/,
    kind: 'resource-exhausted',
    reason: 'STORE_LIMIT_EXCEEDED',
    sentence: 'The store cannot do as much at once; nothing was changed.',
  },
  {
    states: /^25006$/,
    kind: 'unavailable',
    reason: 'STORE_READ_ONLY',
    sentence: 'The store can only be read now; nothing was changed.',
    retryAfterMs: MENDED_AFTER_MS,
  },
  {
    states: /^58/,
    kind: 'unavailable',
    reason: 'STORE_IO_ERROR',
    sentence: 'The disk of the store, or its operating system, reports an error; nothing was changed.',
    retryAfterMs: MENDED_AFTER_MS,
  },
  {
    states: DAMAGED,
    kind: 'failed-precondition',
    reason: 'STORE_DAMAGED',
    sentence:
      'A part of the store that this needs is damaged; nothing was changed. ridgewatch store check says what it is.',
  },
  {
    // No valid index can detect a repetition.
    states: /^42P10$/,
    kind: 'failed-precondition',
    reason: 'STORE_DAMAGED',
    sentence:
      'An index that this needs is out of use, for its table is damaged; nothing was changed. ridgewatch store check says which.',
  },
  {
    states: /^40/,
    kind: 'aborted',
    reason: 'CHANGE_COLLIDED',
    sentence: 'The change collided with another one; nothing was changed.',
    retryAfterMs: 50,
  },
  {
    states: /^55P03$/,
    kind: 'unavailable',
    reason: 'STORE_BUSY',
    sentence: 'Others have held for too long what this needs of the store; nothing was changed.',
    retryAfterMs: RETRY_AFTER_MS,
  },
  {
    states: /^57/,
    kind: 'unavailable',
    reason: 'STORE_TOO_SLOW',
    sentence: 'The store did not come to an end within its time limit; nothing was changed.',
    retryAfterMs: RETRY_AFTER_MS,
  },
  {
    states: /^(42501|28)/,
    kind: 'failed-precondition',
    reason: 'STORE_FORBIDDEN',
    sentence: 'The database user of the service may not do what this needs; nothing was changed.',
  },
];

/**
 * Converts a database error into a failure. The database's messages and details quote row values, including templates,
 * and failures are logged with their causes. Therefore only the SQLSTATE and names of the schema are passed on.
 */
export function asStoreFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (isConnectionError(error)) return storeUnavailable(error);
  const { code, constraint } = error instanceof pg.DatabaseError ? error : { code: undefined, constraint: undefined };
  if (code === UNIQUE_VIOLATION && constraint === 'subject_contributor_external_id_key') return externalIdTaken();
  if (code === OUTCOME_UNKNOWN) return commitOutcomeUnknown();
  const place = isDamage(error) ? damagedPlaceOf(error) : {};
  if (isOfCatalogue(place) || isContradiction(error)) return catalogueDamaged(error);
  const metadata: Record<string, string> = code === undefined ? {} : { sqlstate: code, ...place };
  const detail = { metadata, cause: withoutValues(error) };
  const known = KNOWN_STATES.find(({ states }) => code !== undefined && states.test(code));
  if (known !== undefined) {
    const { kind, reason, sentence, retryAfterMs } = known;
    return new Failure(kind, reason, sentence, { ...detail, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  }
  return new Failure('internal', 'STORE_ERROR', 'The store met an error; nothing was changed.', detail);
}

/** @param error - the cause; only its network or database code is passed on */
export function storeUnavailable(error: unknown): Failure {
  const sentence = 'The store cannot be reached; nothing was changed.';
  const code = error instanceof pg.DatabaseError ? error.code : undefined;
  const metadata: Record<string, string> = code === undefined ? {} : { sqlstate: code };
  return new Failure('unavailable', 'STORE_UNAVAILABLE', sentence, {
    retryAfterMs: RETRY_AFTER_MS,
    metadata,
    cause: withoutValues(error),
  });
}

/** Too many concurrent calls; the store itself works. */
export function storeBusy(): Failure {
  const sentence = 'Too many calls are waiting for the store; nothing was changed. Try again shortly.';
  return new Failure('unavailable', 'STORE_BUSY', sentence, { retryAfterMs: RETRY_AFTER_MS });
}

export function changeCollided(): Failure {
  const sentence = 'The change collided with another one; nothing was changed.';
  return new Failure('aborted', 'CHANGE_COLLIDED', sentence, { retryAfterMs: 50 });
}

/** The connection broke during the commit, which may have been executed or not. */
export function commitOutcomeUnknown(): Failure {
  const sentence =
    'The connection to the store broke during the commit; the change may have been made. Repeating it under the same request id is safe.';
  return new Failure('unavailable', 'COMMIT_OUTCOME_UNKNOWN', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
