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
  beginMaking,
  clusterFiles,
  databaseGone,
  endMaking,
  isCluster,
  link,
  PASSWORD_FILE,
  settle,
  settledHome,
  tracesOf,
  type Purpose,
} from './cluster-home.ts';
import { databaseFailed } from './database-failure.ts';
import { DatabaseServer, type StoreLog } from './database-server.ts';
import { transferOwnership, type DatabaseHost } from './database-user.ts';
import { describeHolder, holderOf } from './directory-lock.ts';
import type { FileLock } from './file-lock.ts';
import { lockServer, settleRegistration } from './orphaned-server.ts';

/** A running PostgreSQL of our own. */
export interface EmbeddedCluster {
  /** Connection URL of its administrative database. Holds the password: never to be logged. */
  readonly url: string;
  /** Where its files are. */
  readonly directory: string;
  /** Another process runs it: a service, or a command that has come before. */
  readonly isShared: boolean;
  stop(): Promise<void>;
}

const USER = 'ridgewatch';
const DRAFT = 'postgres.new';
/** As this program names them; another similar name is the operator's own. */
const DRAFTS = /^postgres\.new-[0-9a-f]{8}(-password)?$/;
/** Files of a few MB are written; on a slow disk that takes some seconds. */
const INITDB_PATIENCE_MS = 300_000;
const REACH_ATTEMPTS = 10;
const REACH_PAUSE_MS = 200;
/** How long a process that uses the database is waited for, unless the caller says otherwise. */
const PATIENCE_MS = 60_000;

/**
 * Starts the PostgreSQL of a data directory for a service, and makes it on first use. Its files are in
 * `<dataDir>/postgres`, which is a link where they had to be kept elsewhere.
 * @param purpose - of the database, where it is made
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
    await makeDirectory(root);
    const claim = await writing(root, () => claimForService(root, patienceOf(log, patience), warner(log)));
    return run(root, { claim, purpose }, log, () => claim.closeToGuests(undefined));
  });
}

export function hasEmbeddedCluster(dataDir: string): boolean {
  return settledHome(resolve(dataDir)) !== undefined;
}

/**
 * The PostgreSQL of a data directory for a command: that which a service, or another command, runs; else one of our own,
 * which others may join.
 * @param absent - what to do where there is none: what it is made for
 * @throws Failure as above; NO_DATABASE
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
    await makeDirectory(root);
    const patience = patienceOf(log, given);
    const place = await writing(root, () => claimForCommand(root, patience, warner(log)));
    if (place instanceof ClusterClaim) {
      const purpose = absent === 'refuse' ? 'fill' : absent;
      return run(root, { claim: place, purpose }, log, () => place.closeToGuests(patience));
    }
    try {
      await requireReachable(root, place.port);
      const directory = clusterFiles(settledHome(root) ?? root);
      const stop = () => Promise.resolve(place.leave());
      return { directory, url: urlOf(await passwordOf(root, true), place.port), isShared: true, stop };
    } catch (error) {
      place.leave();
      throw error;
    }
  });
}

/** @param beforeStop - done while the database still runs */
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
    if (!isThere) await beginMaking(root, purpose);
    await removeDrafts(host.home);
    const password = await passwordOf(root, isThere);
    if (isThere) await link(root, host.home);
    else await initialise(host, root, password, log);
    await endMaking(root);
    claim.lockCluster();
    lock = await lockServer(files, warner(log));
    settleRegistration(files);
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

/** Every failure says where, and what was said about it. */
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
 * The loopback address is another one in another container.
 * @throws Failure DATA_DIRECTORY_IN_USE
 */
async function requireReachable(root: string, port: number): Promise<void> {
  // It may just be started again.
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

/** Says nothing twice: a start may look at the directory again and again. */
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

/** Its owner's alone; under root the database's user is let pass later. */
async function makeDirectory(root: string): Promise<void> {
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

/** Its permissions do not say everything: no user can make a file in /proc. */
async function writing<T>(root: string, work: () => Promise<T>): Promise<T> {
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

/** Under root the database's user has to pass through them; they hold nothing themselves. */
async function makeParents(parent: string): Promise<void> {
  const first = await mkdir(parent, { recursive: true, mode: 0o700 });
  if (first === undefined || process.getuid?.() !== 0) return;
  for (let at = parent; at.length >= first.length; at = dirname(at)) await chmod(at, 0o711);
}

/**
 * The database's password: made once, kept beside its files, readable by the owner only.
 * @param isInUse - a cluster was made with it: another one would not open it
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
  // On disk before it is used: half a password must not be taken for one.
  await replaceFile(file, password, 0o600);
  return password;
}

/** @returns nothing: there is no such file. @throws Failure EMBEDDED_DATABASE_FAILED */
function passwordUnread(file: string, cause: unknown): string {
  const { code = 'no reason given' } = cause as { code?: string };
  if (code === 'ENOENT') return '';
  const sentence = `The password of the embedded database cannot be read from ${file} (${code}): see to that file, or bring it back.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
}

/** What a killed making has left. Its programs may still be writing: what cannot be removed now is the next start's. */
async function removeDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    if (!DRAFTS.test(name)) continue;
    const options = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 };
    await rm(join(home, name), options).catch(() => undefined);
  }
}

/**
 * Makes the cluster under another name and renames it when it is complete, so that a start which is killed half-way
 * leaves nothing that looks like a cluster. Each attempt has a name of its own: what a killed one had started may still
 * be writing.
 */
async function initialise(host: DatabaseHost, root: string, password: string, log: StoreLog): Promise<void> {
  log({ level: 'info', message: 'making the embedded database' });
  const draft = join(host.home, `${DRAFT}-${randomBytes(4).toString('hex')}`);
  const passwordFile = `${draft}-password`;
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    for (const given of [draft, passwordFile]) await transferOwnership(given, host.identity);
    await runInitdb(host, draft, passwordFile);
    await settle(draft, root, host.home);
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
