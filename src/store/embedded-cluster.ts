import { execFile, type ExecFileException } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { replaceFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { claimForCommand, claimForService, ClusterClaim, type Patience } from './cluster-claim.ts';
import {
  beginCreation,
  clusterFiles,
  databaseGone,
  endCreation,
  isCluster,
  linkHome,
  PASSWORD_FILE,
  installDraft,
  clusterHomeOf,
  tracesOf,
  type Purpose,
} from './cluster-home.ts';
import { databaseFailed } from './database-failure.ts';
import { DatabaseServer, type StoreLog } from './database-server.ts';
import { transferOwnership, type DatabaseHost } from './database-user.ts';
import { describeHolder, holderOf } from './directory-lock.ts';
import type { FileLock } from './file-lock.ts';
import { lockServer, repairPidFile } from './orphaned-server.ts';

/** A running embedded PostgreSQL. */
export interface EmbeddedCluster {
  /** Connection URL of its administrative database. It contains the password and must not be logged. */
  readonly url: string;
  /** Directory of its files. */
  readonly directory: string;
  /** True when another process runs it: a service, or an earlier command. */
  readonly isShared: boolean;
  stop(): Promise<void>;
}

const USER = 'ridgewatch';
const DRAFT = 'postgres.new';
/** Drafts named by this program. Files with other, similar names belong to the operator. */
const DRAFTS = /^postgres\.new-[0-9a-f]{8}(-password)?$/;
/** initdb writes a few MB, which takes some seconds on a slow disk. */
const INITDB_PATIENCE_MS = 300_000;
const REACH_ATTEMPTS = 10;
const REACH_PAUSE_MS = 200;
/** Default wait for another process that uses the database, in milliseconds. */
const PATIENCE_MS = 60_000;

/**
 * Starts the PostgreSQL of a data directory for a service, and creates it on first use. Its files are in
 * `<dataDir>/postgres`, which is a link when they had to be kept elsewhere.
 * @param purpose - of the database, if it is created
 * @throws Failure DATA_DIRECTORY_UNWRITABLE, DATA_DIRECTORY_IN_USE, LOCK_REFUSED, EMBEDDED_DATABASE_FAILED,
 * START_GIVEN_UP
 */
export function startEmbeddedCluster(
  dataDir: string,
  log: StoreLog,
  patience: Partial<Patience> = {},
  purpose: Purpose = 'fill',
): Promise<EmbeddedCluster> {
  const root = resolve(dataDir);
  return explained(root, async () => {
    await ensureDataDirectory(root);
    const claim = await reportUnwritable(root, () => claimForService(root, patienceOf(log, patience), warner(log)));
    return run(root, { claim, purpose }, log, () => claim.closeToGuests(undefined));
  });
}

export function hasEmbeddedCluster(dataDir: string): boolean {
  return clusterHomeOf(resolve(dataDir)) !== undefined;
}

/**
 * Connects a command to the PostgreSQL of a data directory. If a service or another command runs it, it is shared;
 * otherwise it is started here, and other commands may join.
 * @param absent - purpose of a database that is created if none exists; `refuse`: do not create one
 * @throws Failure DATA_DIRECTORY_UNWRITABLE, DATA_DIRECTORY_IN_USE, LOCK_REFUSED, EMBEDDED_DATABASE_FAILED,
 * START_GIVEN_UP, NO_DATABASE
 */
export function joinEmbeddedCluster(
  dataDir: string,
  log: StoreLog,
  given: Partial<Patience> = {},
  absent: Purpose | 'refuse' = 'refuse',
): Promise<EmbeddedCluster> {
  const root = resolve(dataDir);
  return explained(root, async () => {
    if (absent === 'refuse' && !hasEmbeddedCluster(root)) {
      const left = tracesOf(root, 'fill');
      if (left.length > 0) throw databaseGone(root, left);
      const sentence = `There is no database in ${root}: name the service's data directory (RIDGEWATCH_DATA_DIR), or its DATABASE_URL.`;
      throw new Failure('not-found', 'NO_DATABASE', sentence);
    }
    await ensureDataDirectory(root);
    const patience = patienceOf(log, given);
    const place = await reportUnwritable(root, () => claimForCommand(root, patience, warner(log)));
    if (place instanceof ClusterClaim) {
      const purpose = absent === 'refuse' ? 'fill' : absent;
      return run(root, { claim: place, purpose }, log, () => place.closeToGuests(patience));
    }
    try {
      await requireReachable(root, place.port);
      const directory = clusterFiles(clusterHomeOf(root) ?? root);
      const stop = () => Promise.resolve(place.leave());
      return { directory, url: urlOf(await passwordOf(root, true), place.port), isShared: true, stop };
    } catch (error) {
      place.leave();
      throw error;
    }
  });
}

/** @param beforeStop - runs before the database is stopped */
async function run(
  root: string,
  { claim, purpose }: { readonly claim: ClusterClaim; readonly purpose: Purpose },
  log: StoreLog,
  beforeStop: () => Promise<void>,
): Promise<EmbeddedCluster> {
  let lock: FileLock | undefined;
  const release = () => {
    lock?.release();
    claim.release();
  };
  try {
    const { host } = claim;
    const files = clusterFiles(host.home);
    const isThere = isCluster(files);
    if (!isThere) await beginCreation(root, purpose);
    await removeDrafts(host.home);
    const password = await passwordOf(root, isThere);
    if (isThere) await linkHome(root, host.home);
    else await createCluster(host, root, password, log);
    await endCreation(root);
    claim.lockCluster();
    lock = await lockServer(files, warner(log));
    repairPidFile(files);
    const server = await DatabaseServer.start({ host, files, lockDescriptor: lock.descriptor }, log);
    claim.admitGuests(server.port);
    let stopped: Promise<void> | undefined;
    const stop = () =>
      beforeStop()
        .then(() => server.stop())
        .finally(release);
    return { directory: files, isShared: false, url: urlOf(password, server.port), stop: () => (stopped ??= stop()) };
  } catch (error) {
    release();
    throw error;
  }
}

/** Turns other errors into failures that name the directory and the cause. */
async function explained<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw databaseFailed(root, { output: error instanceof Error ? error.message : String(error), cause: error });
  }
}

function patienceOf(log: StoreLog, { patienceMs = PATIENCE_MS, onWait, signal }: Partial<Patience>): Patience {
  return {
    patienceMs,
    signal,
    onWait: (message) => {
      log({ level: 'warn', message });
      onWait?.(message);
    },
  };
}

/**
 * Checks that the other process's database can be reached: in another container the loopback address is a different
 * one.
 * @throws Failure DATA_DIRECTORY_IN_USE
 */
async function requireReachable(root: string, port: number): Promise<void> {
  // The server may be restarting.
  for (let attempt = 0; attempt < REACH_ATTEMPTS; attempt++) {
    if (await listens(port)) return;
    await delay(REACH_PAUSE_MS);
  }
  const sentence = `The data directory ${root} is in use by ${describeHolder(holderOf(root))}, whose database does not answer here: run this command where that one runs.`;
  throw new Failure('failed-precondition', 'DATA_DIRECTORY_IN_USE', sentence);
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: REACH_PAUSE_MS });
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}

/** Logs each warning once: a start may check the directory repeatedly. */
function warner(log: StoreLog): (message: string) => void {
  const said = new Set<string>();
  return (message) => {
    if (!said.has(message)) log({ level: 'warn', message });
    said.add(message);
  };
}

function urlOf(password: string, port: number): string {
  return `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`;
}

/** Creates it for its owner only. Under root, the database's user gets access later. */
async function ensureDataDirectory(root: string): Promise<void> {
  try {
    if (!existsSync(root)) {
      await makeParents(dirname(root));
      await mkdir(root, { mode: 0o700 }).catch((error: unknown) => {
        if ((error as { code?: string }).code !== 'EEXIST') throw error;
      });
    }
    if (!statSync(root).isDirectory()) throw Object.assign(new Error('it is no directory'), { code: 'ENOTDIR' });
    accessSync(root, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw unwritable(root, cause);
  }
}

/** Catches failed writes: permissions do not reveal everything, for example that no file can be created in /proc. */
async function reportUnwritable<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isRefused = error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'open';
    throw isRefused ? unwritable(root, error) : error;
  }
}

function unwritable(root: string, cause: unknown): Failure {
  const { code } = cause as { code?: string };
  const sentence = `The data directory ${root} cannot be written to (${code ?? 'no reason given'}): set RIDGEWATCH_DATA_DIR to one that can.`;
  return new Failure('failed-precondition', 'DATA_DIRECTORY_UNWRITABLE', sentence, { cause });
}

/** Under root the database's user must traverse these directories, which contain no data themselves. */
async function makeParents(parent: string): Promise<void> {
  const first = await mkdir(parent, { recursive: true, mode: 0o700 });
  if (first === undefined || process.getuid?.() !== 0) return;
  for (let at = parent; at.length >= first.length; at = dirname(at)) await chmod(at, 0o711);
}

/**
 * The database's password. It is created once and kept beside the files, readable by the owner only.
 * @param isInUse - a cluster with this password exists; a new password would not open it
 */
async function passwordOf(root: string, isInUse: boolean): Promise<string> {
  const file = join(root, PASSWORD_FILE);
  const kept = (await readFile(file, 'utf8').catch((error: unknown) => passwordUnread(file, error))).trim();
  if (kept !== '') return kept;
  if (isInUse) {
    const sentence = `The password of the embedded database is missing: bring back ${file}.`;
    throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
  }
  const password = randomBytes(24).toString('hex');
  // Durable before its use: a partly written password must not be taken for a whole one.
  await replaceFile(file, password, 0o600);
  return password;
}

/** @returns an empty text: no such file exists. @throws Failure EMBEDDED_DATABASE_FAILED */
function passwordUnread(file: string, cause: unknown): string {
  const { code = 'no reason given' } = cause as { code?: string };
  if (code === 'ENOENT') return '';
  const sentence = `The password of the embedded database cannot be read from ${file} (${code}): see to that file, or bring it back.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
}

/** Removes drafts of killed starts. Their programs may still be writing: the next start removes the rest. */
async function removeDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!DRAFTS.test(name)) continue;
    const options = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 };
    await rm(join(home, name), options).catch(() => undefined);
  }
}

/**
 * Creates the cluster under another name and renames it when it is complete: a killed start leaves nothing that looks
 * like a cluster. Each attempt uses its own name, because programs of a killed attempt may still be writing.
 */
async function createCluster(host: DatabaseHost, root: string, password: string, log: StoreLog): Promise<void> {
  log({ level: 'info', message: 'making the embedded database' });
  const draft = join(host.home, `${DRAFT}-${randomBytes(4).toString('hex')}`);
  const passwordFile = `${draft}-password`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    for (const given of [draft, passwordFile]) await transferOwnership(given, host.identity);
    await runInitdb(host, draft, passwordFile);
    await installDraft(draft, root, host.home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

async function runInitdb({ initdb, home, identity }: DatabaseHost, draft: string, passwordFile: string): Promise<void> {
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-instructions'];
  const args = [`--pgdata=${draft}`, `--username=${USER}`, `--pwfile=${passwordFile}`, ...settings];
  const options = { cwd: home, env: childEnvironment(), timeout: INITDB_PATIENCE_MS, ...identity };
  const { error, stderr } = await new Promise<{ error: ExecFileException | null; stderr: string }>((done) => {
    execFile(initdb, args, options, (failed, _stdout, said) => done({ error: failed, stderr: said }));
  });
  if (error === null) return;
  const output = stderr.trim() === '' ? error.message : stderr;
  throw databaseFailed(home, { output, code: error.code, signal: error.signal, cause: error });
}
