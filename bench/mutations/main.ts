/**
 * Damages samples of every format, and decodes, stores, reads, exports, and imports each.
 *
 *   npm run bench -- mutations [--inputs 2000000] [--seed N] [--data DIR] [--json]
 *
 * Each must be refused with a reason, or give the same template live, stored, and imported. Exits with 1 otherwise.
 * --data: the shared data; its records are damaged, too.
 */
import { parseArgs } from 'node:util';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { mutate } from './mutation.ts';
import { realOriginals, syntheticOriginals } from './originals.ts';
import { Trial } from './trial.ts';

const { values: options } = parseArgs({
  options: {
    inputs: { type: 'string', default: '2000000' },
    data: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const inputs = Number(options.inputs);
const PEOPLE = 20;
/** One in this many real records is used. */
const EVERY = 20;
/** Packed bytes are compared for one in this many decoded samples. */
const PACKED_ONE_IN = 50;
const SHOWN_FAULTS = 10;

const originals = syntheticOriginals(SEEDS.mutations, PEOPLE);
if (options.data !== undefined) originals.push(...realOriginals(options.data, EVERY));
const trial = new Trial();
const random = new Random(SEEDS.mutations, inputs);
const counts = { inputs, originals: originals.length, read: 0, packed: 0, warned: 0, refused: 0, faults: 0 };
const [refusals, warnings] = [new Map<string, number>(), new Map<string, number>()];
const faults: string[] = [];
const started = performance.now();
for (let i = 0; i < inputs; i++) {
  const original = originals[random.below(originals.length)];
  if (original === undefined) break;
  const packs = counts.read % PACKED_ONE_IN === 0;
  const outcome = trial.try({ ...original, data: mutate(original.data, random) }, packs);
  if (outcome.fault !== undefined) {
    counts.faults++;
    if (faults.length < SHOWN_FAULTS) faults.push(`input ${i}, ${original.format}: ${outcome.fault}`);
  } else if (outcome.refused !== undefined) {
    counts.refused++;
    count(refusals, outcome.refused);
  } else {
    counts.read++;
    if (packs) counts.packed++;
    if (outcome.warnings.length > 0) counts.warned++;
    outcome.warnings.forEach((code) => count(warnings, code));
  }
}
const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
const result = { ...counts, seconds, refusals: sorted(refusals), warnings: sorted(warnings), shown: faults };
if (options.json) console.log(JSON.stringify(result));
else {
  console.log(`${inputs} inputs from ${originals.length} samples in ${seconds} s:`);
  console.log(`  ${counts.read} read, live = stored = imported (packed bytes of ${counts.packed} of them, too)`);
  console.log(`  ${counts.warned} of them with warnings: ${listed(warnings)}`);
  console.log(`  ${counts.refused} refused: ${listed(refusals)}`);
  console.log(`  ${counts.faults} faults${faults.map((fault) => `\n    ${fault}`).join('')}`);
}
process.exitCode = counts.faults > 0 ? 1 : 0;

function count(counters: Map<string, number>, name: string): void {
  counters.set(name, (counters.get(name) ?? 0) + 1);
}

function sorted(counters: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counters].sort(([, a], [, b]) => b - a));
}

function listed(counters: ReadonlyMap<string, number>): string {
  return Object.entries(sorted(counters))
    .map(([name, times]) => `${name} ${times}`)
    .join(', ');
}
