import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { LoadOrder, LoadReport } from './generator.ts';

/** Sends searches from a process of their own. */
export async function generate(order: LoadOrder): Promise<LoadReport> {
  const generator = fork(join(import.meta.dirname, 'generator.ts'), { execArgv: [] });
  generator.send(order);
  const [report] = (await once(generator, 'message')) as [LoadReport];
  generator.kill();
  return report;
}
