/**
 * Where the embedded database of a data directory has its files. The choice is made once: whatever happens to the
 * directory's name or permissions later, a start must find the files that it had, and never begin an empty database
 * beside them.
 */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';

const CLUSTER = 'postgres';

/** The cluster's files, below the directory that is its home. */
export function clusterFiles(home: string): string {
  return join(home, CLUSTER);
}

/** Whether there is a whole cluster. Its version file is there from the start, but whole ones only get this name. */
export function isCluster(files: string): boolean {
  return existsSync(join(files, 'PG_VERSION'));
}

/**
 * The home that was chosen before: the data directory, or where its link leads.
 * @param root - the data directory
 * @returns undefined where there is no cluster yet
 * @throws Failure EMBEDDED_DATABASE_FAILED when the link leads to nothing
 */
export function settledHome(root: string): string | undefined {
  const place = clusterFiles(root);
  if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true)
    return isCluster(place) ? root : undefined;
  const files = resolve(root, readlinkSync(place));
  if (isCluster(files) && basename(files) === CLUSTER) return dirname(files);
  if (isCluster(files)) {
    const sentence = `The link ${place} leads to ${files}: give that directory the name ${CLUSTER}, and let the link lead there.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  const sentence = `The embedded database's files were in ${files} and are gone: bring them back, or remove the link ${place} to begin anew.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/** Gives a complete draft the cluster's name. */
export async function settle(draft: string, root: string, home: string): Promise<void> {
  await rename(draft, clusterFiles(home));
  await syncDirectory(home);
  await link(root, home);
}

/** Leaves a link in the data directory to a home that is elsewhere. */
export async function link(root: string, home: string): Promise<void> {
  const place = clusterFiles(root);
  if (home === root || lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  await rm(place, { recursive: true, force: true });
  await symlink(clusterFiles(home), place);
  await syncDirectory(root);
}
