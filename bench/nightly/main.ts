/**
 * The long suite: hours. Then the report.
 *
 *   npm run bench -- nightly [--prints DIR …] [--faces DIR …] [--out report.html] [--only NAME …] [--keep-as-baseline]
 *
 * Exits with 1 when a suite failed, or a ratio is worse than in the baseline by more than its noise.
 */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { programOf } from '../harness/benches.ts';
import { describeMachine, machineLine } from '../harness/machine.ts';
import { runSuite } from '../harness/run-suite.ts';
import { nightly } from '../harness/suites.ts';

const { values: options } = parseArgs({
  options: {
    prints: { type: 'string', multiple: true, default: [] },
    faces: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: 'report.html' },
    'keep-as-baseline': { type: 'boolean', default: false },
  },
});
const machine = describeMachine();
console.error(machineLine(machine));
const steps = nightly(options).filter(({ bench }) => options.only.length === 0 || options.only.includes(bench));
const { failed } = await runSuite('nightly', steps, machine);
const { status } = spawnSync(
  process.execPath,
  [
    programOf('report'),
    ...['--suite', 'nightly', '--out', options.out],
    ...(options['keep-as-baseline'] ? ['--keep-as-baseline'] : []),
  ],
  { stdio: 'inherit' },
);
if (failed.length > 0) console.error(`Failed: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : (status ?? 1);
