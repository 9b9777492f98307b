/**
 * Location of the embedded database's files for a data directory. The location is chosen once. Later changes of the
 * directory's name or permissions must not make a start miss the existing files and create an empty database.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';

const CLUSTER = 'postgres';
/** A file of every cluster. */
const VERSION_FILE = 'PG_VERSION';
/** Exists while a database is being created: from before its first file until it is complete. */
const CREATION_MARK = 'postgres-is-being-made';
/** Files of the passwords of the database's superuser and of the service's role. */
export const PASSWORD_FILE = 'postgres-password';
export const SERVICE_PASSWORD_FILE = 'postgres-service-password';
/** `of`: files that prove an earlier database. `for`: files that an operator may have placed for a future database. */
const TRACES = { of: [PASSWORD_FILE], for: ['keys.json', 'receipt-key.pem', 'audit-key.pem'] } as const;
/** Maximum number of unexpected file names in an error message. */
const MAX_NAMED = 5;

/** Reason to create a database: `begin` starts empty; `fill` receives a backup, whose keys may already be in place. */
export type Purpose = 'begin' | 'fill';

/** Directory of the cluster's files, below its home. */
export function clusterFiles(home: string): string {
  return join(home, CLUSTER);
}

/**
 * Whether a complete cluster exists. A cluster has its version file from the start, but gets this directory name only
 * when it is complete.
 * @returns false: the directory is missing or empty
 * @throws Failure EMBEDDED_DATABASE_FAILED when the directory holds something else or cannot be read
 */
export function isCluster(files: string): boolean {
  const names = ifPresent(files, () => readdirSync(files));
  if (names === undefined || names.length === 0) return false;
  const version = join(files, VERSION_FILE);
  if (ifPresent(version, () => statSync(version)) !== undefined) return true;
  const some = names.slice(0, MAX_NAMED).join(', ') + (names.length > MAX_NAMED ? ', …' : '');
  const copy = join(files, 'base', '1', VERSION_FILE);
  const remedy = names.includes('base')
    ? `it holds the version and nothing else, as ${copy} does: copy that one there (with its owner), or bring the files back from a copy`
    : 'bring the files back from a copy, or move that directory away and restore a backup';
  const sentence = `${files} holds no whole database: its file ${VERSION_FILE} is missing, and there is ${some}. Nothing was changed, and no other database is made in its place: ${remedy}.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/**
 * @returns undefined: no such file exists. @throws Failure EMBEDDED_DATABASE_FAILED when its existence cannot be
 * determined
 */
function ifPresent<T>(path: string, read: () => T): T | undefined {
  try {
    return read();
  } catch (cause) {
    const { code = 'no reason given' } = cause as { code?: string };
    if (code === 'ENOENT') return undefined;
    const sentence = `Whether there is a database cannot be said: ${path} cannot be looked at (${code}). Nothing was changed: see to the disk, to what is mounted there and to who may read it.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
  }
}

/**
 * Checks that a database may be created in a data directory, and marks the creation as begun. The next start resumes an
 * interrupted creation.
 * @throws Failure EMBEDDED_DATABASE_FAILED when an earlier database is missing
 */
export async function beginCreation(root: string, purpose: Purpose): Promise<void> {
  const note = join(root, CREATION_MARK);
  if (ifPresent(note, () => lstatSync(note)) !== undefined) return;
  const left = tracesOf(root, purpose);
  if (left.length > 0) throw databaseGone(root, left);
  await writeFile(note, '', { mode: 0o600 });
  await syncDirectory(root);
}

export async function endCreation(root: string): Promise<void> {
  await rm(join(root, CREATION_MARK), { force: true });
}

/** Names of files that prove an earlier database. */
export function tracesOf(root: string, purpose: Purpose): string[] {
  const names = purpose === 'begin' ? [...TRACES.of, ...TRACES.for] : TRACES.of;
  return names.filter((name) => ifPresent(join(root, name), () => lstatSync(join(root, name))) !== undefined);
}

export function databaseGone(root: string, left: readonly string[]): Failure {
  const files = clusterFiles(root);
  const keys = left.some((name) => name !== PASSWORD_FILE)
    ? ' Keys that were put there for a database to come are in the way, too: name another place for them (RIDGEWATCH_KEY_FILE, RIDGEWATCH_RECEIPT_KEY).'
    : '';
  const sentence = `The database of ${root} is gone: ${left.join(', ')} of it ${left.length === 1 ? 'is' : 'are'} there, and ${files} is not, or is empty. Nothing was changed, and no other database is made in its place: mount its disk or bring its files back. Where they are lost, move ${left.join(', ')} away and restore a backup with its keys (ridgewatch restore), or begin anew.${keys}`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/**
 * The home of the existing cluster: the data directory, or the target of its link.
 * @param root - the data directory
 * @returns undefined when no cluster exists yet
 * @throws Failure EMBEDDED_DATABASE_FAILED when the link has no target
 */
export function clusterHomeOf(root: string): string | undefined {
  const place = clusterFiles(root);
  if (ifPresent(place, () => lstatSync(place))?.isSymbolicLink() !== true) return isCluster(place) ? root : undefined;
  const files = resolve(root, readlinkSync(place));
  if (isCluster(files) && basename(files) === CLUSTER) return dirname(files);
  if (isCluster(files)) {
    const sentence = `The link ${place} leads to ${files}: give that directory the name ${CLUSTER}, and let the link lead there.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  const sentence = `The embedded database's files were in ${files} and are gone: bring them back. Where they are lost, move the link ${place} and ${PASSWORD_FILE} away and restore a backup, or begin anew.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/** Moves a complete draft to the cluster's name. */
export async function installDraft(draft: string, root: string, home: string): Promise<void> {
  await removeEmpty(clusterFiles(home));
  await rename(draft, clusterFiles(home));
  await syncDirectory(home);
  await linkHome(root, home);
}

/** Links the data directory to a home elsewhere. */
export async function linkHome(root: string, home: string): Promise<void> {
  const place = clusterFiles(root);
  if (home === root || lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  await removeEmpty(place);
  await symlink(clusterFiles(home), place);
  await syncDirectory(root);
}

/** rmdir fails on a directory that holds anything. */
async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  });
}
