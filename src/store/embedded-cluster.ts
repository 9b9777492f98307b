import { connect } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { claimForCommand, claimForService, ClusterClaim, type Patience } from './cluster-claim.ts';
import { passwordOf, SERVICE_USER, servicePasswordOf, urlOf } from './cluster-credentials.ts';
import {
  beginCreation,
  clusterFiles,
  clusterHomeOf,
  databaseGone,
  endCreation,
  isCluster,
  linkHome,
  tracesOf,
  type Purpose,
} from './cluster-home.ts';
import { ensureDataDirectory, reportUnwritable } from './data-directory.ts';
import { databaseFailed } from './database-failure.ts';
import { DatabaseServer, type StoreLog } from './database-server.ts';
import { describeHolder, holderOf } from './directory-lock.ts';
import type { FileLock } from '../files/file-lock.ts';
import { createCluster, removeDrafts } from './new-cluster.ts';
import { lockServer, repairPidFile } from './orphaned-server.ts';

/** A running embedded PostgreSQL. */
export interface EmbeddedCluster {
  /** Connection URL of its superuser, for administration. It contains the password and must not be logged. */
  readonly url: string;
  /** Connection URL of the service's role, which may not exist yet; not to be logged either. */
  readonly serviceUrl: string;
  /** Directory of its files. */
  readonly directory: string;
  /** True when another process runs it: a service, or an earlier command. */
  readonly isShared: boolean;
  stop(): Promise<void>;
}

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
      const urls = urlsOf(await passwordOf(root, true), await servicePasswordOf(root), place.port);
      return { directory, isShared: true, ...urls, stop };
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
    const servicePassword = await servicePasswordOf(root);
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
    const urls = urlsOf(password, servicePassword, server.port);
    return { directory: files, isShared: false, ...urls, stop: () => (stopped ??= stop()) };
  } catch (error) {
    release();
    throw error;
  }
}

function urlsOf(password: string, servicePassword: string, port: number): Pick<EmbeddedCluster, 'url' | 'serviceUrl'> {
  return { url: urlOf(password, port), serviceUrl: urlOf(servicePassword, port, SERVICE_USER) };
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
