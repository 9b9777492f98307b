/**
 * Records whose limits, suspensions, ages, galleries and classes change at random, while the clock jumps, and searches in
 * every way between: exact with one finger, several and a face, by codes, by a graph, of a listed gallery, with early
 * answers, as the service plans them, of silent records, for duplicates, and comparisons. Every answer is compared with a
 * plain list. A violation is a record that was found and may not be, or is missing and may.
 *
 *   npm run bench -- record-life [--operations 1000000] [--people 12] [--json]
 *
 * `hidden` counts the searches whose best match was a record that may not be found, by the reason: each could have
 * failed. Ends with 1 where there is a violation.
 */
import { parseArgs } from 'node:util';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { SEEDS } from '../harness/seeds.ts';
import { Trial } from './trial.ts';

const { values: options } = parseArgs({
  options: {
    operations: { type: 'string', default: '1000000' },
    people: { type: 'string', default: '12' },
    json: { type: 'boolean', default: false },
  },
});
const pool = new WorkerPool(1);
const trial = await Trial.prepare(pool, Number(options.people), SEEDS.recordLife);
await trial.run(Number(options.operations));
await trial.close();
await pool.close();

const tallies = Object.values(trial.tallies);
const total = (count: (tally: (typeof tallies)[number]) => number) => tallies.reduce((sum, one) => sum + count(one), 0);
const report = {
  kernel: kernelHash(),
  operations: trial.operations,
  searches: total(({ searches }) => searches),
  violations: total(({ violations }) => violations),
  'checks that could have failed: best match hidden': total(({ hidden }) =>
    Object.values(hidden).reduce((sum, count) => sum + count, 0),
  ),
  'checks that could have failed: best match shown': total(({ shown }) => shown),
  ways: trial.tallies,
  'first violations': trial.violations,
};
if (options.json) console.log(JSON.stringify(report));
else console.dir(report, { depth: 4 });
if (report.violations > 0) process.exitCode = 1;
