import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';

/** How long a database that another process left behind gets to shut down, and then to break off, in milliseconds. */
const PATIENCE_MS = 15_000;
/** More than any process id can be. */
const NOBODY = 2 ** 31 - 1;

/**
 * Stops a server that a killed service left behind. It cannot be taken over: it would stay nobody's child, and end with
 * nobody. To be called under the directory's lock: nobody else is about to use that server.
 * @param files - the cluster's directory, as given to the server
 * @throws Failure EMBEDDED_DATABASE_FAILED when it does not stop
 */
export async function stopOrphan(files: string, warn: (sentence: string) => void): Promise<void> {
  const pid = registeredServer(files);
  if (pid === undefined) return;
  if (!isServerOf(pid, files)) return forgetServer(pid, files);
  warn('stopping the database that an earlier run left behind');
  // SIGINT: shut down now. SIGQUIT: break off; the log of what was committed is replayed at the next start.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    send(pid, signal);
    const end = Date.now() + PATIENCE_MS;
    while (Date.now() < end) {
      if (!isServerOf(pid, files)) return;
      await delay(50);
    }
  }
  const sentence = `The database that an earlier run left behind (process ${pid}, in ${files}) does not stop: end it.`;
  throw new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence);
}

function registeredServer(files: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(files, 'postmaster.pid'), 'utf8').split('\n')[0]);
    return Number.isInteger(pid) && pid > 1 && pid !== NOBODY ? pid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * After a restart of the machine or the container the id may be another process's, and PostgreSQL would take that for
 * its predecessor and refuse to start. Only the id is changed: by the rest of the file it finds out whether parts of
 * its predecessor still live.
 */
function forgetServer(pid: number, files: string): void {
  if (!send(pid, 0)) return;
  const file = join(files, 'postmaster.pid');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^\d+/, String(NOBODY)));
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

/** Whether the process is a PostgreSQL on these files. Where that cannot be told it is taken for none. */
function isServerOf(pid: number, files: string): boolean {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(files);
    const command = execFileSync('ps', ['-p', String(pid), '-o', 'command='], { encoding: 'utf8' });
    return command.includes(`-D ${files} `);
  } catch {
    return false;
  }
}
