/**
 * One HTML page of all results of a run: plots, tables, comparison with the stored baseline.
 *
 *   npm run bench -- report [--suite quick] [--out report.html] [--keep-as-baseline] [--json]
 *
 * --suite: quick or nightly. --keep-as-baseline: store this run as the baseline. Exits with 1 when a ratio is worse
 * than in the baseline by more than its noise.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { keptIn, RESULTS } from '../harness/document.ts';
import { processorOf } from '../harness/machine.ts';
import { baselineFile, compareWith, readBaseline, writeBaseline } from './baseline.ts';
import { figuresOf } from './figures.ts';
import { page } from './page.ts';

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string', default: 'quick' },
    out: { type: 'string', default: 'report.html' },
    'keep-as-baseline': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const folder = join(RESULTS, options.suite);
if (!existsSync(folder)) {
  console.error(`There is nothing in ${folder}: run npm run bench -- ${options.suite} first.`);
  process.exit(2);
}
const documents = [...keptIn(folder).values()].sort((a, b) => (a.date < b.date ? -1 : 1));
const figures = documents.flatMap(figuresOf);
const file = baselineFile(options.suite);
const baseline = readBaseline(file);
const [first] = documents;
const { machine } = first;
const compared = compareWith(baseline, figures, processorOf(machine));
const worse = compared.filter(({ verdict }) => verdict === 'WORSE');
writeFileSync(options.out, page(documents, figures, baseline));
if (options.json) console.log(JSON.stringify({ machine, page: options.out, figures, compared }));
else {
  console.log(`${options.out}: ${documents.length} measurements, ${figures.length} figures.`);
  for (const { figure, ratio } of worse)
    console.log(`WORSE: ${figure.bench}, ${figure.name}: ${ratio.toFixed(2)} of the baseline's.`);
}
if (options['keep-as-baseline']) writeBaseline(file, first, figures);
if (worse.length > 0) process.exitCode = 1;
