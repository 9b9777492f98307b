import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { replaceFile } from '../durable-file.ts';
import { Failure } from '../failure.ts';
import { clusterFiles, isCluster, link, settle, settledHome } from './cluster-home.ts';
import { databaseFailed, DatabaseServer, type StoreLog } from './database-server.ts';
import { giveAway, prepareHost, type DatabaseHost } from './database-user.ts';
import { lockDirectory } from './directory-lock.ts';
import { stopOrphan } from './orphaned-server.ts';

/** A running PostgreSQL of our own. */
export interface EmbeddedCluster {
  /** Connection URL of its administrative database. Holds the password: never to be logged. */
  readonly url: string;
  /** Where its files are. */
  readonly directory: string;
  /** It belongs to a service that runs. */
  readonly isShared: boolean;
  stop(): Promise<void>;
}

const USER = 'ridgewatch';
const PASSWORD_FILE = 'postgres-password';
const DRAFT = 'postgres.new';

/**
 * Starts the PostgreSQL of a data directory, and makes it on first use. Its files are in `<dataDir>/postgres`, which is
 * a link where they had to be kept elsewhere.
 * @throws Failure DATA_DIRECTORY_UNWRITABLE, DATA_DIRECTORY_IN_USE, EMBEDDED_DATABASE_FAILED
 */
export async function startEmbeddedCluster(dataDir: string, log: StoreLog): Promise<EmbeddedCluster> {
  const root = resolve(dataDir);
  await makeWritable(root);
  const locks = [await lockDirectory(root)];
  const release = () => {
    for (const lock of locks) lock.release();
  };
  const warn = (message: string) => log({ level: 'warn', message });
  try {
    const host = await prepareHost(root, warn);
    // A copy of a data directory has a link to the same files.
    if (host.home !== root) locks.push(await lockDirectory(host.home));
    const files = clusterFiles(host.home);
    const password = await passwordOf(root, isCluster(files));
    if (isCluster(files)) await link(root, host.home);
    else await initialise(host, root, password, log);
    await stopOrphan(files, warn);
    const server = await DatabaseServer.start(host, files, log);
    return {
      directory: files,
      isShared: false,
      url: urlOf(password, server.port),
      stop: () => server.stop().finally(release),
    };
  } catch (error) {
    release();
    throw error instanceof Failure ? error : databaseFailed(root, `error: ${String(error)}`, error);
  }
}

export function hasEmbeddedCluster(dataDir: string): boolean {
  return settledHome(resolve(dataDir)) !== undefined;
}

/**
 * The PostgreSQL of a data directory that has one: that which a running service has started, else one of our own.
 * @throws Failure as above; NO_DATABASE; EMBEDDED_DATABASE_FAILED when the service is only starting or stopping
 */
export async function joinEmbeddedCluster(dataDir: string, log: StoreLog): Promise<EmbeddedCluster> {
  if (!hasEmbeddedCluster(dataDir)) {
    const sentence = `There is no database in ${resolve(dataDir)}: name the service's data directory (RIDGEWATCH_DATA_DIR), or its DATABASE_URL.`;
    throw new Failure('not-found', 'NO_DATABASE', sentence);
  }
  try {
    return await startEmbeddedCluster(dataDir, log);
  } catch (error) {
    if (!(error instanceof Failure) || error.reason !== 'DATA_DIRECTORY_IN_USE') throw error;
  }
  const root = resolve(dataDir);
  const directory = clusterFiles(settledHome(root) ?? root);
  // Line 4 of the file that a running server keeps: its port.
  const port = (await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')[3] ?? '';
  if (!/^\d+$/.test(port))
    throw databaseFailed(directory, 'error: the service that uses it is starting or stopping', undefined);
  const url = urlOf(await passwordOf(root, true), Number(port));
  return { directory, url, isShared: true, stop: () => Promise.resolve() };
}

function urlOf(password: string, port: number): string {
  return `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`;
}

async function makeWritable(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
    const probe = join(root, `.writable-${process.pid}`);
    await writeFile(probe, '');
    await rm(probe);
  } catch (cause) {
    const sentence = `The data directory ${root} cannot be written to: set RIDGEWATCH_DATA_DIR to one that can.`;
    throw new Failure('failed-precondition', 'DATA_DIRECTORY_UNWRITABLE', sentence, { cause });
  }
}

/**
 * The database's password: made once, kept beside its files, readable by the owner only.
 * @param isInUse - a cluster was made with it: another one would not open it
 */
async function passwordOf(root: string, isInUse: boolean): Promise<string> {
  const file = join(root, PASSWORD_FILE);
  const kept = existsSync(file) ? (await readFile(file, 'utf8')).trim() : '';
  if (kept !== '') return kept;
  if (isInUse) {
    const sentence = `The password of the embedded database is missing: bring back ${file}.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  const password = randomBytes(24).toString('hex');
  // On disk before it is used: half a password must not be taken for one.
  await replaceFile(file, password, 0o600);
  return password;
}

/**
 * Makes the cluster under another name and renames it when it is complete, so that a start which is killed half-way
 * leaves nothing that looks like a cluster. Each attempt has a name of its own: what a killed one had started may still
 * be writing.
 */
async function initialise(host: DatabaseHost, root: string, password: string, log: StoreLog): Promise<void> {
  for (const name of await readdir(host.home))
    if (name.startsWith(DRAFT)) await rm(join(host.home, name), { recursive: true, force: true });
  await rm(clusterFiles(host.home), { recursive: true, force: true });
  log({ level: 'info', message: 'making the embedded database' });
  const draft = join(host.home, `${DRAFT}-${randomBytes(4).toString('hex')}`);
  const passwordFile = `${draft}-password`;
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const given of [draft, passwordFile]) await giveAway(given, host.identity);
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-instructions'];
  try {
    await promisify(execFile)(
      host.initdb,
      [`--pgdata=${draft}`, `--username=${USER}`, `--pwfile=${passwordFile}`, ...settings],
      { cwd: host.home, env: { ...process.env, LC_ALL: 'C' }, ...host.identity },
    );
    await settle(draft, root, host.home);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    throw databaseFailed(host.home, (cause as { stderr?: string }).stderr ?? `error: ${String(cause)}`, cause);
  } finally {
    await rm(passwordFile, { force: true });
  }
}
