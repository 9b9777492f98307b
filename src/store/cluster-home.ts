/**
 * Where the embedded database of a data directory has its files. The choice is made once: whatever happens to the
 * directory's name or permissions later, a start must find the files that it had, and never begin an empty database
 * beside them.
 */
import { lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { rename, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';

const CLUSTER = 'postgres';
/** A file that no cluster is without. */
const VERSION_FILE = 'PG_VERSION';
/** There from before the first file of a database is written until the database is there. */
const MAKING = 'postgres-is-being-made';
/** Holds the database's password. */
export const PASSWORD_FILE = 'postgres-password';
/** What only a database that was there leaves behind, and what an operator may have put there for one to come. */
const TRACES = { of: [PASSWORD_FILE], for: ['keys.json', 'receipt-key.pem'] } as const;
/** Names of what was found instead that are passed on at most. */
const MAX_NAMED = 5;

/** What a database is made for: to begin with, or to be filled from a backup, whose keys may have been put back before. */
export type Purpose = 'begin' | 'fill';

/** The cluster's files, below the directory that is its home. */
export function clusterFiles(home: string): string {
  return join(home, CLUSTER);
}

/**
 * Whether there is a whole cluster: its version file is there from the start, but whole ones only get this name.
 * @returns false: there is nothing, or an empty directory
 * @throws Failure EMBEDDED_DATABASE_FAILED when there is anything else, or it cannot be said what there is
 */
export function isCluster(files: string): boolean {
  const names = seen(files, () => readdirSync(files));
  if (names === undefined || names.length === 0) return false;
  const version = join(files, VERSION_FILE);
  if (seen(version, () => statSync(version)) !== undefined) return true;
  const some = names.slice(0, MAX_NAMED).join(', ') + (names.length > MAX_NAMED ? ', …' : '');
  const copy = join(files, 'base', '1', VERSION_FILE);
  const remedy = names.includes('base')
    ? `it holds the version and nothing else, as ${copy} does: copy that one there (with its owner), or bring the files back from a copy`
    : 'bring the files back from a copy, or move that directory away and restore a backup';
  const sentence = `${files} holds no whole database: its file ${VERSION_FILE} is missing, and there is ${some}. Nothing was changed, and no other database is made in its place: ${remedy}.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/** @returns undefined: there is no such file. @throws Failure EMBEDDED_DATABASE_FAILED when that cannot be said */
function seen<T>(path: string, look: () => T): T | undefined {
  try {
    return look();
  } catch (cause) {
    const { code = 'no reason given' } = cause as { code?: string };
    if (code === 'ENOENT') return undefined;
    const sentence = `Whether there is a database cannot be said: ${path} cannot be looked at (${code}). Nothing was changed: see to the disk, to what is mounted there and to who may read it.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
  }
}

/**
 * Makes sure that a database may be made in a data directory, and notes that it is being made: whatever interrupts that,
 * the next start goes on with it.
 * @throws Failure EMBEDDED_DATABASE_FAILED when there was one, which is gone
 */
export async function beginMaking(root: string, purpose: Purpose): Promise<void> {
  const note = join(root, MAKING);
  if (seen(note, () => lstatSync(note)) !== undefined) return;
  const left = tracesOf(root, purpose);
  if (left.length > 0) throw databaseGone(root, left);
  await writeFile(note, '', { mode: 0o600 });
  await syncDirectory(root);
}

export async function endMaking(root: string): Promise<void> {
  await rm(join(root, MAKING), { force: true });
}

/** Names of files that say that there was a database. */
export function tracesOf(root: string, purpose: Purpose): string[] {
  const names = purpose === 'begin' ? [...TRACES.of, ...TRACES.for] : TRACES.of;
  return names.filter((name) => seen(join(root, name), () => lstatSync(join(root, name))) !== undefined);
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
 * The home that was chosen before: the data directory, or where its link leads.
 * @param root - the data directory
 * @returns undefined where there is no cluster yet
 * @throws Failure EMBEDDED_DATABASE_FAILED when the link leads to nothing
 */
export function settledHome(root: string): string | undefined {
  const place = clusterFiles(root);
  if (seen(place, () => lstatSync(place))?.isSymbolicLink() !== true) return isCluster(place) ? root : undefined;
  const files = resolve(root, readlinkSync(place));
  if (isCluster(files) && basename(files) === CLUSTER) return dirname(files);
  if (isCluster(files)) {
    const sentence = `The link ${place} leads to ${files}: give that directory the name ${CLUSTER}, and let the link lead there.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  const sentence = `The embedded database's files were in ${files} and are gone: bring them back. Where they are lost, move the link ${place} and ${PASSWORD_FILE} away and restore a backup, or begin anew.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/** Gives a complete draft the cluster's name. */
export async function settle(draft: string, root: string, home: string): Promise<void> {
  await removeEmpty(clusterFiles(home));
  await rename(draft, clusterFiles(home));
  await syncDirectory(home);
  await link(root, home);
}

/** Leaves a link in the data directory to a home that is elsewhere. */
export async function link(root: string, home: string): Promise<void> {
  const place = clusterFiles(root);
  if (home === root || lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  await removeEmpty(place);
  await symlink(clusterFiles(home), place);
  await syncDirectory(root);
}

/** The system removes no directory that holds anything. */
async function removeEmpty(directory: string): Promise<void> {
  await rmdir(directory).catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ENOENT') throw error;
  });
}
