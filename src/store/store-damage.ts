/** Errors about damaged or missing files of the database, and about its catalogue. */
import pg from 'pg';
import { Failure } from '../failure.ts';
import { sqlStateOf, withoutValues } from './database-error.ts';

/** Damaged page, row or index. */
export const DAMAGED = /^XX00[12]$/;
const FILE_MISSING = '58P01';

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
export function isContradiction(error: unknown): boolean {
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
