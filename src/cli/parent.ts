/** A process that was started by a relay must end with it. */
import { readFileSync } from 'node:fs';

/** Polling interval in milliseconds. */
const INTERVAL_MS = 250;

/**
 * Sends SIGTERM to this process when its parent has ended. If the parent is a shell of npm, its parent is watched: the
 * shell keeps waiting when npm is killed, and dies of other signals without passing them on.
 */
export function endWithParent(parent: number): void {
  const isBetween = argumentsOf(parent)[1] === '-c';
  const above = isBetween ? parentOf(parent) : undefined;
  const watch = setInterval(() => {
    if (process.ppid === parent && (above === undefined || parentOf(parent) === above)) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, INTERVAL_MS);
  watch.unref();
}

/** Undefined if the system does not report it or the process has ended. */
function parentOf(pid: number): number | undefined {
  // The name, in brackets, may hold anything.
  const fields = read(`/proc/${pid}/stat`)?.replace(/^.*\)/s, '').trim().split(' ');
  return fields === undefined ? undefined : Number(fields[1]);
}

function argumentsOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
