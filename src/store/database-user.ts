/**
 * Determines the embedded PostgreSQL's user, programs and file location. An ordinary user runs the installed package on
 * the data directory. PostgreSQL refuses to run as root. Under root (usually a container) it runs as the user
 * `postgres`, who may be unable to enter the directories where root put the program and the data.
 */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { clusterHomeOf } from './cluster-home.ts';
import { installedPrograms, isOpenToAll, OPEN_FOLDER, openPrograms, type Programs } from './database-programs.ts';
import { directoryDigest } from './directory-lock.ts';

export interface DatabaseHost extends Programs {
  /** Options for spawn; empty when it is our own user. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  /** Directory that contains the cluster. */
  readonly home: string;
}

const USER = 'postgres';
/** Time limit for programs that look up or create a user, in milliseconds. */
const PROGRAM_PATIENCE_MS = 30_000;
const run = promisify(execFile);

/**
 * @param root - the data directory: absolute and existing
 * @param warn - called when the files are not in the configured directory
 * @throws Failure EMBEDDED_DATABASE_FAILED
 */
export async function prepareHost(root: string, warn: (sentence: string) => void): Promise<DatabaseHost> {
  const programs = await installedPrograms();
  const existingHome = clusterHomeOf(root);
  if (process.getuid?.() !== 0) return { identity: {}, home: existingHome ?? root, ...programs };
  const identity = await ensureDatabaseUser();
  // The database's user must be able to traverse the directory, not to list it.
  const mode = statSync(root).mode & 0o7777;
  if ((mode & 0o011) !== 0o011) await chmod(root, mode | 0o011);
  if (existingHome === root && !isOpenToAll(root)) throw shutOut(root);
  const home = existingHome ?? (isOpenToAll(root) ? root : await ensureOpenHome(root));
  if (home !== root) warn(`the database's user cannot enter ${root}: its files are kept in ${home}`);
  return { identity, home, ...(isOpenToAll(programs.postgres) ? programs : await openPrograms(programs)) };
}

/** Makes the database's user the owner of a directory. */
export async function transferOwnership(directory: string, { uid, gid }: DatabaseHost['identity']): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(directory, uid, gid);
}

/** The files are in the data directory, which was accessible to all users earlier and no longer is. */
function shutOut(root: string): Failure {
  const sentence = `The database's user cannot enter ${root}, where its files are: allow it to pass (chmod o+x) through every directory on the way.`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

async function ensureDatabaseUser(): Promise<{ uid: number; gid: number }> {
  const options = { env: childEnvironment(), timeout: PROGRAM_PATIENCE_MS };
  const id = async (flag: string) => Number((await run('id', [flag, USER], options)).stdout);
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch {
    try {
      await run('useradd', ['--system', '--user-group', '--no-create-home', USER], options);
      return { uid: await id('-u'), gid: await id('-g') };
    } catch (cause) {
      const sentence = `PostgreSQL does not run as root, and the user ${USER} for it could not be made: make it (useradd --system ${USER}), or run the service as an ordinary user.`;
      throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
    }
  }
}

async function ensureOpenHome(root: string): Promise<string> {
  const home = join(OPEN_FOLDER, directoryDigest(root));
  await mkdir(home, { recursive: true, mode: 0o711 });
  for (const made of [OPEN_FOLDER, home]) await chmod(made, 0o711);
  return home;
}
