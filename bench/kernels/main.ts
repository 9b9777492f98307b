/**
 * Throughput of each kernel on one thread: each build, and the TypeScript oracle, interleaved in every round. Scans
 * read far more than the caches hold; a loop that only reads the same memory is their upper bound. Also the cost of a
 * call from JavaScript into WebAssembly. Synthetic people only.
 *
 *     npm run bench -- kernels [--rounds 15] [--scanned 400000] [--json]
 *     npm run bench -- kernels --prints DIR [--rounds 15] [--json]
 *
 * --scanned: rows of a scan; a face has 512 bytes, a candidate vector 256.
 * --prints: only the stages of preparing the `.iso` records below a folder, by turns, the least time of each print.
 */
import { parseArgs } from 'node:util';
import { canRun } from '../../src/matching/kernels/kernel-builds.ts';
import { compareRates, type RateRow } from '../harness/rates.ts';
import { batches } from './batches.ts';
import { comparisons } from './comparisons.ts';
import { crossing } from './crossing.ts';
import { encoders } from './encoders.ts';
import { scans } from './scans.ts';
import { printsBelow, stagesOf } from './stages.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    scanned: { type: 'string', default: '400000' },
    prints: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const builds = (['plain', 'relaxed'] as const).filter(canRun);

if (values.prints === undefined) measureKernels();
else measureStages(values.prints);

function measureStages(folder: string): void {
  const stages = stagesOf(printsBelow(folder), rounds);
  if (values.json) console.log(JSON.stringify({ rounds, stages }));
  else {
    console.log(`\n${stages.prints} prints of ${stages.minutiae.toFixed(1)} minutiae: microseconds a print`);
    console.table(stages.microseconds);
  }
}

function measureKernels(): void {
  const groups = [
    ...comparisons(builds),
    ...encoders(builds),
    ...scans(builds, Number(values.scanned)),
    ...batches(builds, Number(values.scanned)),
    crossing(builds),
  ];
  const results = groups.map(({ name, unit, bytes, contenders }) => ({
    name,
    unit,
    rates: compareRates(contenders, rounds).map((row) => ({
      ...row,
      ...(bytes !== undefined && { gigabytesPerSecond: (row.rate.median * bytes) / 1e9 }),
    })),
  }));

  if (values.json) console.log(JSON.stringify({ rounds, results }));
  else
    for (const { name, unit, rates } of results) {
      console.log(`\n${name}, ${unit}/s: median (quartiles); ratio to ${rates[0].name} in the same round`);
      console.table(rates.map(shown));
    }
}

function shown({ name, rate, ratio, gigabytesPerSecond }: RateRow & { readonly gigabytesPerSecond?: number }) {
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  return {
    by: name,
    rate: `${whole(rate.median)} (${whole(rate.low)} to ${whole(rate.high)})`,
    ratio: `${ratio.median.toFixed(3)} (${ratio.low.toFixed(3)} to ${ratio.high.toFixed(3)})`,
    ...(gigabytesPerSecond !== undefined && { 'GB/s': gigabytesPerSecond.toFixed(1) }),
  };
}
