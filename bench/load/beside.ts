/** CPU and queue of the service's process under load. */
import { existsSync, readFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { spreadOf, quantile } from '../harness/spread.ts';

const EVERY_MS = 250;
/** Clock ticks of /proc: a hundredth of a second on every platform of Node.js. */
const TICKS_PER_SECOND = 100;

export interface Beside {
  /** CPU seconds per second: busy cores. NaN if the system does not report it. */
  readonly cores: number;
  /** Waiting searches, from the metrics. */
  readonly queue: { readonly median: number; readonly most: number };
}

/** Samples until `work` is done. */
export async function watched<T>(
  { pid }: ChildProcess,
  httpAddress: string,
  headers: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly beside: Beside }> {
  const waiting: number[] = [];
  const timer = setInterval(() => {
    void fetch(`${httpAddress}/metrics`, { headers })
      .then((response) => response.text())
      .then((text) => waiting.push(Number(/^ridgewatch_searches_waiting (\d+)$/m.exec(text)?.[1] ?? NaN)))
      .catch(() => undefined);
  }, EVERY_MS);
  const [started, before] = [performance.now(), cpuSeconds(pid)];
  try {
    const result = await work();
    const cores = (cpuSeconds(pid) - before) / ((performance.now() - started) / 1000);
    const { median } = spreadOf(waiting);
    return { result, beside: { cores: Number(cores.toFixed(2)), queue: { median, most: quantile(waiting, 1) } } };
  } finally {
    clearInterval(timer);
  }
}

function cpuSeconds(pid: number | undefined): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return NaN;
  // The second field is a name in parentheses, which may hold anything.
  const fields = readFileSync(file, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
