/** Cleans up after a killed service: its database's processes, and their pid file. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { FileLock } from '../files/file-lock.ts';

/**
 * Signals that end orphaned processes, and how long each may take, in milliseconds. SIGINT: fast shutdown. SIGQUIT:
 * immediate shutdown; the next start replays the log of committed changes. SIGKILL: for unresponsive processes.
 */
const SIGNALS = [
  ['SIGINT', 15_000],
  ['SIGQUIT', 5000],
  ['SIGKILL', 5000],
] as const;
const UNSEEN_PATIENCE_MS = 1500;
/** Wait for processes of a killed server that are just ending, in milliseconds. */
const PAUSE_MS = 300;
const POLL_MS = 20;
/** Larger than any process id. */
const NO_PROCESS = 2 ** 31 - 1;
/** A file of every cluster that is never recreated while the cluster runs: the server's processes lock it. */
const LOCKED_FILE = join('global', 'pg_control');

/**
 * Takes the lock that every process of the server inherits. It is unavailable while a process of an earlier server
 * lives, in whichever container. Visible processes are stopped. An orphaned server cannot be reused: no process would
 * watch it or stop it. Call this under the directory's locks, so that no other service is about to use that server.
 * @param files - the cluster's directory, as passed to the server
 * @throws Failure EMBEDDED_DATABASE_FAILED when it does not stop; LOCK_REFUSED
 */
export async function lockServer(files: string, warn: (sentence: string) => void): Promise<FileLock> {
  const take = () => FileLock.take(join(files, LOCKED_FILE), { missing: 'refuse' });
  const free = async (patienceMs: number) => {
    for (const end = Date.now() + patienceMs; ;) {
      const lock = take();
      if (lock !== undefined || Date.now() > end) return lock;
      await delay(POLL_MS);
    }
  };
  let lock = await free(PAUSE_MS);
  if (lock === undefined) warn('stopping the database that an earlier run left behind');
  for (const [signal, patienceMs] of SIGNALS) {
    if (lock !== undefined) return lock;
    const pids = serverProcesses(files);
    // A process suspended with its container receives signals only when it continues.
    for (const pid of pids) if (send(pid, signal)) send(pid, 'SIGCONT');
    // Invisible processes may be ending by themselves.
    lock = await free(pids.length > 0 ? patienceMs : UNSEEN_PATIENCE_MS);
  }
  if (lock !== undefined) return lock;
  const seen = serverProcesses(files);
  const where = seen.length > 0 ? `process ${seen.join(', ')}` : 'in another container or on another machine';
  const sentence = `The database that an earlier run left behind (${where}; its files are in ${files}) does not stop: end it.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/**
 * Repairs the pid file of the last server so that PostgreSQL can interpret it. Call it under the server's lock, which
 * proves that no server of ours is running. PostgreSQL still uses the file to detect a server that was started by other
 * means, and processes of one that are still alive.
 */
export function repairPidFile(files: string): void {
  const file = join(files, 'postmaster.pid');
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return;
  }
  const pid = Number(/^\s*-?(\d{1,10})\s*(?:\n|$)/.exec(text)?.[1] ?? 0);
  // After a power cut the file may be empty or full of zeros; PostgreSQL would refuse to start.
  if (pid < 1 || pid > NO_PROCESS) return rmSync(file, { force: true });
  // After a restart of the machine or the container, the id may belong to another process, which PostgreSQL would take
  // for its predecessor.
  if (pid !== NO_PROCESS && send(pid, 0) && !isServerOf(pid, files))
    writeFileSync(file, text.replace(/^\s*-?\d+/, String(NO_PROCESS)), 'latin1');
}

/** @returns whether the process exists */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The visible processes of the server: only the first one if it lives, because it ends the others. */
function serverProcesses(files: string): number[] {
  if (process.platform !== 'linux') {
    const pid = Number.parseInt(readPidFile(files), 10);
    return pid > 1 && isServerOf(pid, files) ? [pid] : [];
  }
  const place = realpathSync(files);
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && linkOf(`/proc/${name}/cwd`) === place && isPostgres(name))
    .map(Number);
  const first = all.filter((pid) => isServerOf(pid, files));
  return first.length > 0 ? first : all;
}

function isPostgres(pid: string): boolean {
  return /\/postgres( \(deleted\))?$/.test(linkOf(`/proc/${pid}/exe`));
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function readPidFile(files: string): string {
  try {
    return readFileSync(join(files, 'postmaster.pid'), 'latin1');
  } catch {
    return '';
  }
}

/** Whether the process is a PostgreSQL on these files; false when that cannot be determined. */
function isServerOf(pid: number, files: string): boolean {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(files);
    const options = { encoding: 'utf8', env: childEnvironment() } as const;
    return execFileSync('ps', ['-p', String(pid), '-o', 'command='], options).includes(`-D ${files} `);
  } catch {
    return false;
  }
}
