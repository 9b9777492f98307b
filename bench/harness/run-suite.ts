import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchDocument } from './document.ts';
import { keep, RESULTS } from './document.ts';
import type { Machine } from './machine.ts';
import { runBench } from './run.ts';
import type { SuiteStep } from './suites.ts';

export interface SuiteResult {
  readonly documents: readonly BenchDocument[];
  /** Benches that printed nothing, or whose checks failed. */
  readonly failed: readonly string[];
}

/**
 * Runs a suite and stores each result in bench/results/<suite>/<bench>.json, replacing that of an earlier run. If a bench
 * fails, the others still run.
 */
export async function runSuite(name: string, steps: readonly SuiteStep[], machine: Machine): Promise<SuiteResult> {
  const folder = join(RESULTS, name);
  const documents: BenchDocument[] = [];
  const failed: string[] = [];
  const started = Date.now();
  for (const [i, { bench, arguments: given }] of steps.entries()) {
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stderr.write(`[${i + 1} of ${steps.length}, ${seconds} s] ${bench} ${given.join(' ')}\n`);
    const file = join(folder, `${bench}.json`);
    rmSync(file, { force: true });
    try {
      const { document, status } = await runBench(bench, given, machine);
      keep(document, file);
      documents.push(document);
      if (status !== 0) failed.push(bench);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      failed.push(bench);
    }
  }
  return { documents, failed };
}
