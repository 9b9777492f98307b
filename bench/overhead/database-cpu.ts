import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** CPU time of an embedded database so far, in milliseconds: of its first process and those it started. NaN: unknown. */
export function databaseCpuMs(directory: string): number {
  try {
    const first = readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0] ?? '';
    const pids = readdirSync('/proc').filter((name) => name === first || parentOf(name) === first);
    return pids.reduce((sum, pid) => sum + runMs(pid), 0);
  } catch {
    return NaN;
  }
}

/** Fourth field of this file; the second one, the name of the program, may contain anything (proc(5)). */
function parentOf(pid: string): string | undefined {
  if (!/^\d+$/.test(pid)) return undefined;
  return textOf(pid, 'stat').split(') ').at(-1)?.split(' ')[1];
}

/** Nanoseconds on a processor: the first field (Documentation/scheduler/sched-stats.rst of Linux). */
function runMs(pid: string): number {
  return Number(textOf(pid, 'schedstat').split(' ')[0]) / 1e6;
}

/** Empty: the process has ended. */
function textOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
