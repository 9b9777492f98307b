import pg from 'pg';
import { Failure, type FailureKind } from '../failure.ts';

const RETRY_AFTER_MS = 1000;
/** Until a disk may have been made room on. */
const MENDED_AFTER_MS = 30_000;
const UNIQUE_VIOLATION = '23505';
const OUTCOME_UNKNOWN = '40003';
/**
 * SQLSTATEs that mean the database is going away or not there: class 08 connection, 57P operator intervention, no
 * connection left, and a connection that was ended because its transaction took too long.
 */
const GONE = /^(08|57P|53300$|25P0[34]$)/;
/** Classes of SQLSTATE that find fault with a value: 22 data, 23 constraints. */
const REFUSED_VALUE = /^2[23]/;
/** What is stored is not what was written: a page, a row or an index is damaged. */
const DAMAGED = /^XX00[12]$/;
const FILE_MISSING = '58P01';

interface KnownState {
  readonly states: RegExp;
  readonly kind: FailureKind;
  readonly reason: string;
  readonly sentence: string;
  readonly retryAfterMs?: number;
}

/** What the database may lack or have in its way, the first that matches: its operator can mend it, a caller waits. */
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
    // No index is in use that would tell a repetition.
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
/** What pg says without a code. */
const GONE_WITHOUT_CODE =
  /^Connection terminated|^timeout exceeded when trying to connect|^timeout expired|^Query read timeout|^Client has encountered a connection error|^Client was closed|^Cannot use a pool after calling end/;

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

/** Whether what was to be read is not what was written, or the file that it was in is gone. */
export function isDamage(error: unknown): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && (DAMAGED.test(code) || (code === FILE_MISSING && 'file' in damagedPlaceOf(error)));
}

/**
 * Where the damage is that the database speaks of: numbers of files and blocks, and names of the schema, but no values.
 * Empty where it does not say.
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

/** Files below this number are of the database itself, until they are written anew. */
const FIRST_OWN_FILE = 16_384;

/** Whether a place is in what the database knows of itself, and not in what is stored. */
export function isOfCatalogue({ file }: Record<string, string>): boolean {
  const number = /(\d+)$/.exec(file ?? '')?.[1];
  return number !== undefined && Number(number) < FIRST_OWN_FILE;
}

/** SQLSTATEs of a connection that the database's own files are in the way of. */
const FILES_LOST = /^(58P01|58030|XX00[012]|22023)$/;
/** How PostgreSQL says that what it knows of its tables does not hold together; it has no SQLSTATE for that. */
const CONTRADICTION = /catalog is missing|cache lookup failed|could not find (pg_\w+|tuple)|relation mapping file/;

/**
 * Whether a connection did not come about because files of the catalogue are missing or damaged.
 * @param isOwn - the database, its user and its password are our own: it refuses them only where it has lost them
 */
export function isCatalogueLost(error: unknown, isOwn = false): boolean {
  const code = error instanceof pg.DatabaseError ? error.code : sqlStateOf(error);
  return code !== undefined && (FILES_LOST.test(code) || (isOwn && /^(3D000|28)/.test(code)));
}

/** Whether a statement met a catalogue that does not hold together. */
function isContradiction(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === 'XX000' && CONTRADICTION.test(error.message);
}

/** What the database said: names of files and of its own tables, as long as it has not looked at any other. */
function wordsOfConnection(error: unknown): string {
  if (!(error instanceof pg.DatabaseError) || error.severity !== 'FATAL') return '';
  return ` (${[error.message, error.detail].filter((words) => words !== undefined).join('; ')})`;
}

/** @param error - that a connection met, or that names a place in the catalogue */
export function catalogueDamaged(error: unknown): Failure {
  const { file, block } = damagedPlaceOf(error);
  const place = file === undefined || block === undefined ? wordsOfConnection(error) : `, file ${file}, block ${block}`;
  const sentence = `The catalogue in which PostgreSQL keeps what it knows of its tables is damaged${place}; nothing was changed, and the tables themselves are not what is damaged. Keep a copy of the database's files, and restore a backup into an empty store (ridgewatch restore); where only an index of the catalogue is damaged, an administrator mends it with REINDEX SYSTEM, on a connection with ignore_system_indexes = on.`;
  const metadata = { ...(file && block && { file, block }) };
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata, cause: withoutValues(error) });
}

/** @param file - in which the rows of a table were */
export function tableFileMissing(table: string, file: string): Failure {
  const sentence = `The file ${file} of the table ${table} is missing, with everything that the table held; nothing was changed. Stop the service and bring that file back from a copy of the same moment, with its owner, or restore a backup into an empty store (ridgewatch restore).`;
  const metadata = { table, file, damage: `The file ${file} of the table ${table} is missing` };
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata });
}

/** @param table - of which no query can be planned */
export function tableNotPlanned(table: string): Failure {
  const sentence = `An index of the table ${table} is damaged, which keeps the database from reading the table; nothing was changed and nothing is lost: ridgewatch store check --repair builds it anew.`;
  return new Failure('failed-precondition', 'STORE_DAMAGED', sentence, { metadata: { table } });
}

/**
 * Turns an error of the database into a failure. Messages and details of the database quote row values, templates
 * among them, and failures are logged with their causes: so neither is passed on, only the SQLSTATE and what it names
 * of the schema.
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

/** @param error - why; a code of the network or of the database is told, and nothing else of it */
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

/** Of a crowd: the store itself is well. */
export function storeBusy(): Failure {
  const sentence = 'Too many calls are waiting for the store; nothing was changed. Try again shortly.';
  return new Failure('unavailable', 'STORE_BUSY', sentence, { retryAfterMs: RETRY_AFTER_MS });
}

/** Whether all connections of a pool were lent for as long as one waits for them: the database was not even asked. */
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

/** A subject of which nothing can be read: so nothing can be said of it, and it cannot be changed. */
export function subjectDamaged(): Failure {
  const sentence =
    'The subject is stored and cannot be read: its row is damaged. ridgewatch store check says what can be done.';
  return new Failure('failed-precondition', 'SUBJECT_DAMAGED', sentence, { field: 'subject_id' });
}

/** @param reason - what is wrong with it */
export function referenceDamaged(reason: string): Failure {
  const sentence = 'Stored data is not what was encrypted or written: it was damaged or exchanged.';
  return new Failure('internal', reason, sentence);
}

/**
 * Not `not-found`: a caller who takes that of a search for "the person was not found" would let everybody pass.
 * @param fields - that name such galleries
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

/** The connection broke while the commit was under way: it may have happened or not. */
export function commitOutcomeUnknown(): Failure {
  const sentence =
    'The connection to the store broke during the commit; the change may have been made. Repeating it under the same request id is safe.';
  return new Failure('unavailable', 'COMMIT_OUTCOME_UNKNOWN', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
