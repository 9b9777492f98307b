/** Explains in one sentence why the embedded PostgreSQL did not start, beginning with the program's own words. */
import { Failure } from '../failure.ts';

/** A program's exit, and its standard error. */
export interface ProgramEnd {
  readonly output: string;
  readonly code?: number | string | null | undefined;
  readonly signal?: string | null | undefined;
  readonly cause?: unknown;
}

/** A line of a program's output. */
interface Line {
  readonly level: string;
  readonly words: string;
}

/** Maximum number of quoted characters. */
const MAX_REASON = 600;
/** Last lines quoted from a program that reports no error. */
const LAST_LINES = 3;
/** PostgreSQL's line formats: `2026-01-31 12:00:00.000 UTC [123] FATAL:  could not …`, `initdb: error: could not …`. */
const LINE = /^(?:\d{4}-\d\d-\d\d [\d:.]+ \S+ \[\d+\] |\S*(?:initdb|postgres): )?(?:(\w+): {1,2})?(.*)$/;
const ERRORS = new Set(['FATAL', 'PANIC', 'ERROR', 'error']);
/** Levels of lines that may state an error's cause. */
const REASONS = new Set(['LOG', 'WARNING']);
const SOME_REASON = /^(could not|page verification failed|invalid)/;
/** Levels of lines that continue the line before. */
const CONTINUED = new Set(['DETAIL', 'HINT', 'detail', 'hint']);
/** PostgreSQL's answers to clients that connect too early; they explain nothing. */
const NO_REASON = /^the database system is (starting up|not yet accepting connections|shutting down|in recovery mode)/;
/** PostgreSQL's advice to create a database over existing files; following it destroys them. */
const DEADLY_ADVICE = /\b(initdb|pg_resetwal)\b/;
/** Remedies for errors for which PostgreSQL names none. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [
    /could not look up effective user ID/,
    'PostgreSQL makes a database only for a user who is listed in /etc/passwd: run this as one who is (of a container: with a line for this user id in /etc/passwd), for the first start at least, or set DATABASE_URL',
  ],
  [
    /error while loading shared libraries|Library not loaded|cannot open shared object/,
    'the installation is not complete: install it again with npm ci, without --ignore-scripts, or set DATABASE_URL',
  ],
  [
    /(postgresql(\.auto)?|pg_hba|pg_ident)\.conf/,
    'a file of its settings is missing or damaged, which holds nothing of this database: copy it from another data directory of the same version, with its owner',
  ],
  [
    /pg_control|PG_CONTROL_VERSION|status of transaction|pg_wal" does not exist|not a valid data directory|locate a valid checkpoint|relation mapping file|\/global\//,
    'a file of the database is missing or damaged: keep a copy of all of them as they are, bring that file back from a copy of the same moment, or restore a backup into an empty data directory; do not make another database in their place',
  ],
  [/\b(ENOENT|EACCES)\b.*|not found|Permission denied$/, 'see whether the installation is complete and may be run'],
  [
    /no space left on device|disk quota exceeded|wrote only \d+ of \d+ bytes|ENOSPC|EDQUOT/i,
    'the disk is full: make room',
  ],
  [
    /invalid page in block|page verification failed/,
    'a page of the database was damaged on the disk: restore a backup into an empty data directory',
  ],
];

/** @param place - the directory of the database's files */
export function databaseFailed(place: string, end: ProgramEnd): Failure {
  const sentence = `The embedded database in ${place} could not be started: ${reasonOf(end)}.`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause: end.cause });
}

/** The reason, as the end of a sentence. */
function reasonOf(end: ProgramEnd): string {
  const words = wordsOf(end.output);
  const known = REMEDIES.find(([pattern]) => pattern.test(words));
  const parts = [words, howItEnded(end), known?.[1] ?? ''].filter((part) => part !== '');
  return parts.length === 0 ? 'it gave no reason' : parts.join('; ');
}

/** The program's words about its first and its last error; without an error, its last lines. */
function wordsOf(output: string): string {
  const lines = linesOf(output);
  const isError = ({ level, words }: Line) => ERRORS.has(level) && !NO_REASON.test(words);
  const [first, last] = [lines.findIndex(isError), lines.findLastIndex(isError)];
  if (first < 0) return said(lines.slice(-LAST_LINES));
  // For example, the line with the cause precedes the line that no socket could be created.
  const before = lines.slice(Math.max(0, first - LAST_LINES), first);
  const why = before.filter(({ level, words }) => REASONS.has(level) && SOME_REASON.test(words));
  const further = lines
    .slice(last + 1)
    .filter(({ level, words }) => CONTINUED.has(level) && !DEADLY_ADVICE.test(words));
  return said([...why, ...lines.slice(first, first + 1), ...lines.slice(last, last + 1), ...further]);
}

function said(lines: readonly Line[]): string {
  return [...new Set(lines.map(({ words }) => words))].join('; ').slice(0, MAX_REASON);
}

function linesOf(output: string): Line[] {
  return output.split('\n').flatMap((text) => {
    const [, level = '', words = ''] = LINE.exec(text.replace(/\p{C}+/gu, ' ').trim()) ?? [];
    const trimmed = words.trim().replace(/\.$/, '');
    return trimmed === '' ? [] : [{ level, words: trimmed }];
  });
}

function howItEnded({ code, signal }: ProgramEnd): string {
  if (typeof signal === 'string') return `it was ended by ${signal}`;
  if (code === undefined || code === null || code === 0) return '';
  return `exit code ${code}`;
}

/** A running database's last error, for the log. Only that line: the lines after it may quote rows. */
export function lastWords(output: string): string {
  const last = linesOf(output).findLast(({ level, words }) => /FATAL|PANIC/.test(level) && !NO_REASON.test(words));
  return (last?.words ?? '').slice(0, MAX_REASON);
}
