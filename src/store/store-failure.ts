import pg from 'pg';
import { Failure, type FailureKind } from '../failure.ts';

const RETRY_AFTER_MS = 1000;
/** Time in which an operator may free disk space, in milliseconds. */
const MENDED_AFTER_MS = 30_000;
const UNIQUE_VIOLATION = '23505';
const OUTCOME_UNKNOWN = '40003';
/**
 * SQLSTATEs of a lost database or connection: class 08 connection exceptions, 57P operator intervention, too many
 * connections, and a connection ended because its transaction took too long.
 */
const GONE = /^(08|57P|53300$|25P0[34]$)/;
/** SQLSTATE classes that reject a value: 22 data exceptions, 23 constraint violations. */
const REFUSED_VALUE = /^2[23]/;
/** Damaged page, row or index. */
const DAMAGED = /^XX00[12]$/;
const FILE_MISSING = '58P01';

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

function sqlStateOf(error: unknown): string | undefined {
  return error instanceof Failure ? error.detail.metadata?.['sqlstate'] : undefined;
}

/** Whether the data to be read is damaged, or its file is missing. */
export function isDamage(error: unknown): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && (DAMAGED.test(code) || (code === FILE_MISSING && 'file' in damagedPlaceOf(error)));
}

/**
 * The damaged place in a database error: numbers of files and blocks, and names of the schema, but no values. Empty if
 * the error names none.
 */
export function damagedPlaceOf(error: unknown): Record<string, string> {
  if (error instanceof Failure) {
    const { file, block, index } = error.detail.metadata ?? {};
    return { ...(file && { file }), ...(block && { block }), ...(index && { index }) };
  }
  const message = error instanceof Error ? error.message : '';
  const page = /(\d+) [^"]*"?((?:base|global|pg_tblspc)\/[\w/.]+)/.exec(message);
  if (page?.[1] !== undefined && page[2] !== undefined) return { block: page[1], file: page[2] };
  const missing = /could not open file "((?:base|global|pg_tblspc)\/[\w/.]+)"/.exec(message)?.[1];
  if (missing !== undefined) return { file: missing };
  const index = /"(\w{1,63})"/.exec(message)?.[1];
  return index === undefined ? {} : { index };
}

/** Files below this number belong to the database's catalogue, until they are rewritten. */
const FIRST_OWN_FILE = 16_384;

/** Whether a place is in the catalogue and not in stored data. */
export function isOfCatalogue({ file }: Record<string, string>): boolean {
  const number = /(\d+)$/.exec(file ?? '')?.[1];
  return number !== undefined && Number(number) < FIRST_OWN_FILE;
}

/** SQLSTATEs of connections that fail because of the database's own files. */
const FILES_LOST = /^(58P01|58030|XX00[012]|22023)$/;
/** Messages about an inconsistent catalogue, for which PostgreSQL has no SQLSTATE. */
const CONTRADICTION = /catalog is missing|cache lookup failed|could not find (pg_\w+|tuple)|relation mapping file/;

/**
 * Whether a connection failed because of missing or damaged catalogue files.
 * @param isOwn - an embedded database, whose name, user and password are ours: if it rejects them it has lost them
 */
export function isCatalogueLost(error: unknown, isOwn = false): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && (FILES_LOST.test(code) || (isOwn && /^(3D000|28)/.test(code)));
}

/** Whether a statement met an inconsistent catalogue. */
function isContradiction(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === 'XX000' && CONTRADICTION.test(error.message);
}

/**
 * The words of a failed connection: they name files and tables of the catalogue only, because no other was read yet.
 */
function wordsOfConnection(error: unknown): string {
  if (!(error instanceof pg.DatabaseError) || error.severity !== 'FATAL') return '';
  return ` (${[error.message, error.detail].filter((words) => words !== undefined).join('; ')})`;
}

/** @param error - of a connection, or naming a place in the catalogue */
export function catalogueDamaged(error: unknown): Failure {
  const { file, block } = damagedPlaceOf(error);
  const place = file === undefined || block === undefined ? wordsOfConnection(error) : `, file ${file}, block ${block}`;
  const sentence = `The catalogue in which PostgreSQL keeps what it knows of its tables is damaged${place}; nothing was changed, and the tables themselves are not what is damaged. Keep a copy of the database's files, and restore a backup into an empty store (ridgewatch restore); where only an index of the catalogue is damaged, an administrator mends it with REINDEX SYSTEM, on a connection with ignore_system_indexes = on.`;
  const metadata = { ...(file && block && { file, block }) };
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata, cause: withoutValues(error) });
}

/** @param file - of the table's rows */
export function tableFileMissing(table: string, file: string): Failure {
  const sentence = `The file ${file} of the table ${table} is missing, with everything that the table held; nothing was changed. Stop the service and bring that file back from a copy of the same moment, with its owner, or restore a backup into an empty store (ridgewatch restore).`;
  const metadata = { table, file, damage: `The file ${file} of the table ${table} is missing` };
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata });
}

/** @param table - whose queries cannot be planned */
export function tableNotPlanned(table: string): Failure {
  const sentence = `An index of the table ${table} is damaged, which keeps the database from reading the table; nothing was changed and nothing is lost: ridgewatch store check --repair builds it anew.`;
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata: { table } });
}

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

/** An error's kind and stack, without its message. */
function withoutValues(error: unknown): Error {
  if (!(error instanceof Error)) return new Error('something was thrown that is no error');
  const { code, table, constraint, routine } = error as Partial<pg.DatabaseError>;
  const facts = Object.entries({ code, table, constraint, routine }).filter(([, value]) => value !== undefined);
  const told = new Error([error.name, ...facts.map(([name, value]) => `${name} ${String(value)}`)].join(', '));
  const frames = (error.stack ?? '').split('\n').filter((line) => /^ {4}at /.test(line));
  told.stack = [`Error: ${told.message}`, ...frames].join('\n');
  return told;
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

/** Whether all connections of the pool were in use for the whole waiting time: the database was not asked. */
export function isCrowd(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
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

/** An unreadable subject can neither be returned nor changed. */
export function subjectDamaged(): Failure {
  const sentence =
    'The subject is stored and cannot be read: its row is damaged. ridgewatch store check says what can be done.';
  return new Failure('failed-precondition', 'SUBJECT_DAMAGED', sentence, { field: 'subject_id' });
}

/** @param reason - the damage */
export function referenceDamaged(reason: string): Failure {
  const sentence = 'Stored data is not what was encrypted or written: it was damaged or exchanged.';
  return new Failure('internal', reason, sentence);
}

/**
 * Not `not-found`: a caller that takes it for "the person was not found" in a search would admit everyone.
 * @param fields - that name unknown galleries
 */
export function galleryUnknown(...fields: readonly string[]): Failure {
  const description = 'No subject ever belonged to a gallery of this name.';
  return new Failure('failed-precondition', 'GALLERY_UNKNOWN', description, {
    field: fields[0] ?? '',
    violations: fields.map((field) => ({ field, description })),
  });
}

export function versionMismatch(present: number): Failure {
  const sentence = 'The subject was changed since the version that the update is based on.';
  return new Failure('aborted', 'VERSION_MISMATCH', sentence, {
    field: 'expected_version',
    metadata: { present_version: String(present) },
  });
}

/** The connection broke during the commit, which may have been executed or not. */
export function commitOutcomeUnknown(): Failure {
  const sentence =
    'The connection to the store broke during the commit; the change may have been made. Repeating it under the same request id is safe.';
  return new Failure('unavailable', 'COMMIT_OUTCOME_UNKNOWN', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
