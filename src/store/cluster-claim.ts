/** Who may use the database of a data directory: one process that runs it, and commands that it lets take part. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { clusterFiles, isCluster } from './cluster-home.ts';
import { prepareHost, type DatabaseHost } from './database-user.ts';
import { describeHolder, directoryInUse, DirectoryLock, holderOf, type Holder } from './directory-lock.ts';
import { FileLock } from './file-lock.ts';

export interface Patience {
  /** How long to wait for a process that will end, or will soon be ready, in milliseconds. */
  readonly patienceMs: number;
  /** Told what is waited for: a sentence, whenever it changes. */
  readonly onWait: (sentence: string) => void;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Locked (shared) by commands that take part in a database that another process runs. */
const GUESTS_FILE = 'ridgewatch-guests.lock';
/** A file that no cluster is without: locked by the process that runs it. */
const CLUSTER_FILE = 'PG_VERSION';
const POLL_MS = 100;
/** A holder that does not say who it is has only just taken the lock, or lets go of it. */
const UNKNOWN_PATIENCE_MS = 2000;

/**
 * The right to run the database of a data directory. Two locks: on a file of the directory, which says who has it, and
 * on one of the cluster, which is found by whatever directory or link leads to it, and cannot be removed by mistake.
 */
export class ClusterClaim {
  readonly host: DatabaseHost;
  readonly #root: string;
  readonly #directory: DirectoryLock;
  readonly #locks: FileLock[];

  private constructor(root: string, host: DatabaseHost, directory: DirectoryLock, locks: FileLock[]) {
    this.#root = root;
    this.host = host;
    this.#directory = directory;
    this.#locks = locks;
  }

  /** @returns undefined when another process has it */
  static async try(
    root: string,
    kind: Holder['kind'],
    warn: (sentence: string) => void,
  ): Promise<ClusterClaim | undefined> {
    const directory = DirectoryLock.take(root, kind);
    if (directory === undefined) return undefined;
    try {
      const host = await prepareHost(root, warn);
      const claim = new ClusterClaim(root, host, directory, []);
      const files = clusterFiles(host.home);
      if (!isCluster(files) || claim.lockCluster()) return claim;
    } catch (error) {
      directory.release();
      throw error;
    }
    directory.release();
    return undefined;
  }

  /** Has to be done as soon as there is a cluster. @returns whether no other process runs it */
  lockCluster(): boolean {
    if (this.#locks.length > 0) return true;
    const lock = FileLock.take(join(clusterFiles(this.host.home), CLUSTER_FILE), { missing: 'refuse' });
    if (lock !== undefined) this.#locks.push(lock);
    return lock !== undefined;
  }

  /** Lets commands take part. */
  admitGuests(port: number): void {
    this.#directory.announce(port);
  }

  /**
   * Before the database is stopped: admits no more guests, and waits for those that there are.
   * @param patience - undefined: does not wait
   */
  async closeToGuests(patience: Patience | undefined): Promise<void> {
    const end = Date.now() + (patience?.patienceMs ?? 0);
    for (let told = false; ;) {
      const lock = FileLock.take(join(this.#root, GUESTS_FILE), { missing: 'make' });
      if (lock !== undefined) this.#locks.push(lock);
      if (lock !== undefined || patience === undefined || Date.now() > end) return;
      if (!told) patience.onWait('waiting for another command that uses this database');
      told = true;
      await delay(POLL_MS);
    }
  }

  release(): void {
    for (const lock of this.#locks) lock.release();
    this.#directory.release();
  }
}

/** A place beside a process that runs the database. */
export interface Guest {
  readonly port: number;
  leave(): void;
}

/** @returns undefined when no process runs the database, or is about to stop it */
function tryGuest(root: string): Guest | undefined {
  if (holderOf(root)?.port === undefined) return undefined;
  const lock = FileLock.take(join(root, GUESTS_FILE), { missing: 'make', shared: true });
  if (lock === undefined) return undefined;
  // Again, for it may have been stopped before the lock was had.
  const port = holderOf(root)?.port;
  if (port !== undefined) return { port, leave: () => lock.release() };
  lock.release();
  return undefined;
}

/**
 * Claims the database for a service. It waits for a command that has it, which will end; another service will not.
 * @throws Failure DATA_DIRECTORY_IN_USE, which says by what; START_GIVEN_UP
 */
export function claimForService(root: string, patience: Patience, warn: (s: string) => void): Promise<ClusterClaim> {
  const attempt = () => ClusterClaim.try(root, 'service', warn);
  return waitFor(root, attempt, (holder) => (holder?.kind === 'command' ? patience.patienceMs : 0), patience);
}

/**
 * Claims the database for a command, or a place beside the process that runs it.
 * @throws Failure DATA_DIRECTORY_IN_USE, when that process neither gets ready nor ends
 */
export function claimForCommand(
  root: string,
  patience: Patience,
  warn: (s: string) => void,
): Promise<ClusterClaim | Guest> {
  const attempt = async () => (await ClusterClaim.try(root, 'command', warn)) ?? tryGuest(root);
  return waitFor(root, attempt, () => patience.patienceMs, patience);
}

/** Tries again while the holder is worth waiting for. */
async function waitFor<T>(
  root: string,
  attempt: () => Promise<T | undefined>,
  patienceFor: (holder: Holder | undefined) => number,
  { onWait, signal }: Patience,
): Promise<T> {
  const begin = Date.now();
  for (let [told, looks] = ['', 1]; ; looks++) {
    const got = await attempt();
    if (got !== undefined) return got;
    const holder = holderOf(root);
    const waited = Date.now() - begin;
    const limit = Math.max(patienceFor(holder), holder === undefined ? UNKNOWN_PATIENCE_MS : 0);
    // At the second look at the earliest: the first may have met what an earlier holder wrote.
    if (looks > 1 && waited >= limit) throw directoryInUse(root, holder);
    const sentence = `waiting for ${describeHolder(holder)}, which uses the data directory ${root}`;
    if (sentence !== told && looks > 1) onWait((told = sentence));
    await delay(POLL_MS, undefined, { signal }).catch(() => undefined);
    if (signal?.aborted === true) throw stoppedWhileStarting();
  }
}

function stoppedWhileStarting(): Failure {
  const sentence = 'The start was broken off while it waited for another process.';
  return new Failure('cancelled', 'START_GIVEN_UP', sentence);
}
