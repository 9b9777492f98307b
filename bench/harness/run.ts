import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { programOf } from './benches.ts';
import type { BenchDocument } from './document.ts';
import type { Machine } from './machine.ts';
import { namedSeeds } from './seeds.ts';

/** Node.js flags of a bench: errors of arguments or output then end it with a sentence. */
export const BENCH_FLAGS = ['--import', new URL('usage-errors.ts', import.meta.url).href];

/**
 * Runs a bench as a separate program and reads its output.
 * @returns its result and exit code; not 0 if a check of the bench failed
 * @throws Error if it prints nothing
 */
export async function runBench(
  bench: string,
  args: readonly string[],
  machine: Machine,
): Promise<{ readonly document: BenchDocument; readonly status: number }> {
  const date = new Date().toISOString();
  const started = performance.now();
  const { output, status } = await collect(bench, [...args, '--json']);
  if (output.trim() === '') throw new Error(`${bench} ended with ${status}`);
  const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
  const result = JSON.parse(output) as unknown;
  const document = {
    bench,
    date,
    seconds,
    arguments: args,
    seeds: namedSeeds(),
    kernel: kernelHash(),
    machine,
    result,
  };
  return { document, status: status ?? 1 };
}

async function collect(
  bench: string,
  args: readonly string[],
): Promise<{ readonly output: string; readonly status: number | null }> {
  const child = spawn(process.execPath, [...BENCH_FLAGS, programOf(bench), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { output, status };
}
