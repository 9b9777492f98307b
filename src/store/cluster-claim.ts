/** Access to the database of a data directory: one process runs it, and commands may join. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { clusterFiles, isCluster } from './cluster-home.ts';
import { prepareHost, type DatabaseHost } from './database-user.ts';
import { describeHolder, directoryInUse, DirectoryLock, holderOf, type Holder } from './directory-lock.ts';
import { FileLock } from '../files/file-lock.ts';

export interface Patience {
  /** How long to wait for a process that is about to end or to become ready, in milliseconds. */
  readonly patienceMs: number;
  /** Called with a sentence about the current wait, whenever it changes. */
  readonly onWait: (sentence: string) => void;
  /** Aborts the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** Commands that use another process's database hold a shared lock on this file. */
const GUESTS_FILE = 'ridgewatch-guests.lock';
/** A file of every cluster. The process that runs the cluster locks it. */
const CLUSTER_FILE = 'PG_VERSION';
const POLL_MS = 100;
/** Patience with an unidentified lock holder: it is just taking or releasing the lock. */
const UNKNOWN_PATIENCE_MS = 2000;

/**
 * The right to run the database of a data directory. It consists of two locks. One is on a file of the directory that
 * names the holder. The other is on a file of the cluster: it holds whatever directory or link leads to the cluster,
 * and that file is not removed by mistake.
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

  /** @returns undefined when another process holds it */
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

  /** Call it as soon as the cluster exists. @returns whether no other process runs the cluster */
  lockCluster(): boolean {
    if (this.#locks.length > 0) return true;
    const lock = FileLock.take(join(clusterFiles(this.host.home), CLUSTER_FILE), { missing: 'refuse' });
    if (lock !== undefined) this.#locks.push(lock);
    return lock !== undefined;
  }

  /** Lets commands join. */
  admitGuests(port: number): void {
    this.#directory.announce(port);
  }

  /**
   * Call it before stopping the database: admits no more commands, and waits for those that have joined.
   * @param patience - undefined: do not wait
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

/** A command's use of a database that another process runs. */
export interface Guest {
  readonly port: number;
  leave(): void;
}

/** @returns undefined when no process runs the database, or it is about to be stopped */
function tryGuest(root: string): Guest | undefined {
  if (holderOf(root)?.port === undefined) return undefined;
  const lock = FileLock.take(join(root, GUESTS_FILE), { missing: 'make', shared: true });
  if (lock === undefined) return undefined;
  // Checked again: the database may have been stopped before the lock was taken.
  const port = holderOf(root)?.port;
  if (port !== undefined) return { port, leave: () => lock.release() };
  lock.release();
  return undefined;
}

/**
 * Claims the database for a service. It waits for a command that holds the database, because commands end; it does not
 * wait for another service.
 * @throws Failure DATA_DIRECTORY_IN_USE, which names the holder; START_GIVEN_UP
 */
export function claimForService(root: string, patience: Patience, warn: (s: string) => void): Promise<ClusterClaim> {
  const attempt = () => ClusterClaim.try(root, 'service', warn);
  return waitFor(root, attempt, (holder) => (holder?.kind === 'command' ? patience.patienceMs : 0), patience);
}

/**
 * Claims the database for a command, or joins the process that runs it.
 * @throws Failure DATA_DIRECTORY_IN_USE, when that process neither becomes ready nor ends
 */
export function claimForCommand(
  root: string,
  patience: Patience,
  warn: (s: string) => void,
): Promise<ClusterClaim | Guest> {
  const attempt = async () => (await ClusterClaim.try(root, 'command', warn)) ?? tryGuest(root);
  return waitFor(root, attempt, () => patience.patienceMs, patience);
}

/** Retries while waiting for the holder makes sense. */
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
    // Decided at the second attempt at the earliest: the first may have read an earlier holder's entry.
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
