/** A process that was started by one that only passes on must not stay behind when that one has ended. */
import { readFileSync } from 'node:fs';

/** How often it is looked at, in milliseconds. */
const INTERVAL_MS = 250;

/**
 * Sends SIGHUP to this process when its parent has ended, or the one that started the parent if that is a shell of
 * npm's: it stays, and waits, when npm is killed; and of other signals it dies itself, without passing them on.
 */
export function endWithParent(parent: number): void {
  const isBetween = argumentsOf(parent)[1] === '-c';
  const above = isBetween ? parentOf(parent) : undefined;
  const watch = setInterval(() => {
    if (process.ppid === parent && (above === undefined || parentOf(parent) === above)) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGHUP');
  }, INTERVAL_MS);
  watch.unref();
}

/** Undefined where the system does not say, or the process is gone. */
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
