/**
 * The short suite: three minutes on two cores. Compares its ratios with the stored baseline.
 *
 *   npm run bench [-- quick] [--json] [--keep-as-baseline]
 *
 * --keep-as-baseline: store this run as the baseline.
 */
import { parseArgs } from 'node:util';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { describeMachine, machineLine, processorOf } from '../harness/machine.ts';
import { runSuite } from '../harness/run-suite.ts';
import { QUICK } from '../harness/suites.ts';
import { baselineFile, compareWith, readBaseline, writeBaseline } from '../report/baseline.ts';
import { figuresOf } from '../report/figures.ts';
import { summaryTable } from '../report/summary.ts';

const { values: options } = parseArgs({
  options: { json: { type: 'boolean', default: false }, 'keep-as-baseline': { type: 'boolean', default: false } },
});
const machine = describeMachine();
const processor = processorOf(machine);
console.error(machineLine(machine));
const { documents, failed } = await runSuite('quick', QUICK, machine);
const figures = documents.flatMap(figuresOf);
const file = baselineFile('quick');
const baseline = readBaseline(file);
if (options.json) {
  console.log(JSON.stringify({ machine, figures, compared: compareWith(baseline, figures, processor), failed }));
} else {
  console.log(`\n${machineLine(machine)}\n`);
  console.log(summaryTable(figures, baseline, processor));
  if (baseline !== undefined) console.log(`Baseline: ${baseline.date.slice(0, 10)}, ${baseline.machine}`);
  console.log('Definitions: docs/benchmarks.md. The same as a page with plots: npm run bench -- report.');
}
if (options['keep-as-baseline'])
  writeBaseline(file, { date: new Date().toISOString(), machine, kernel: kernelHash() }, figures);
if (failed.length > 0) {
  console.error(`Failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
