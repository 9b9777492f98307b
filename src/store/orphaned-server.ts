/** What a killed service leaves behind: processes of its database, and the file that names them. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { FileLock } from './file-lock.ts';

/**
 * How to end processes that were left behind, and the milliseconds that each way gets. SIGINT: shut down now. SIGQUIT:
 * break off; the log of what was committed is replayed at the next start. SIGKILL: for those that hear nothing.
 */
const WAYS = [
  ['SIGINT', 15_000],
  ['SIGQUIT', 5000],
  ['SIGKILL', 5000],
] as const;
const UNSEEN_PATIENCE_MS = 1500;
/** For parts of a killed server that are just ending. */
const PAUSE_MS = 300;
const POLL_MS = 20;
/** More than any process id can be. */
const NO_PROCESS = 2 ** 31 - 1;
/** A file that no cluster is without, nor makes anew while it runs: to be locked by the server's processes. */
const LOCKED_FILE = join('global', 'pg_control');

/**
 * Takes the lock that every process of the server inherits. While one of an earlier server lives, in whichever container,
 * it is not to be had: those that can be seen from here are stopped.
 *
 * They cannot be taken over: no process would watch them, nor end them. To be called under the locks of the directory,
 * so that no other service is about to use that server.
 * @param files - the cluster's directory, as given to the server
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
  for (const [signal, patienceMs] of WAYS) {
    if (lock !== undefined) return lock;
    const pids = serverProcesses(files);
    // One that was halted, as with its container, hears nothing before it goes on.
    for (const pid of pids) if (send(pid, signal)) send(pid, 'SIGCONT');
    // What cannot be seen from here may be ending by itself.
    lock = await free(pids.length > 0 ? patienceMs : UNSEEN_PATIENCE_MS);
  }
  if (lock !== undefined) return lock;
  const seen = serverProcesses(files);
  const where = seen.length > 0 ? `process ${seen.join(', ')}` : 'in another container or on another machine';
  const sentence = `The database that an earlier run left behind (${where}; its files are in ${files}) does not stop: end it.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

/**
 * Makes the file that names the last server one that PostgreSQL can judge by. To be called under the server's lock, which
 * says that none of ours lives. What is left to PostgreSQL is to find one that was started by other means, and by the
 * rest of the file whether parts of it still live.
 */
export function settleRegistration(files: string): void {
  const file = join(files, 'postmaster.pid');
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return;
  }
  const pid = Number(/^\s*-?(\d{1,10})\s*(?:\n|$)/.exec(text)?.[1] ?? 0);
  // A power cut can leave it empty, or full of zeros; PostgreSQL would refuse to start.
  if (pid < 1 || pid > NO_PROCESS) return rmSync(file, { force: true });
  // After a restart of the machine or the container the id may be another process's, and PostgreSQL would take that for
  // its predecessor.
  if (pid !== NO_PROCESS && send(pid, 0) && !isServerOf(pid, files))
    writeFileSync(file, text.replace(/^\s*-?\d+/, String(NO_PROCESS)), 'latin1');
}

/** @returns whether there is such a process */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The processes of the server that can be seen from here: the first one alone, which ends the others, if it lives. */
function serverProcesses(files: string): number[] {
  if (process.platform !== 'linux') {
    const registered = Number.parseInt(readRegistration(files), 10);
    return registered > 1 && isServerOf(registered, files) ? [registered] : [];
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

function readRegistration(files: string): string {
  try {
    return readFileSync(join(files, 'postmaster.pid'), 'latin1');
  } catch {
    return '';
  }
}

/** Whether the process is a PostgreSQL on these files. Where that cannot be told it is taken for none. */
function isServerOf(pid: number, files: string): boolean {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(files);
    const options = { encoding: 'utf8', env: childEnvironment() } as const;
    return execFileSync('ps', ['-p', String(pid), '-o', 'command='], options).includes(`-D ${files} `);
  } catch {
    return false;
  }
}
