/**
 * Search cost and hit rate among synthetic people: exact and indexed search interleaved. The hit rate is the share of
 * mates at rank 1 of the exact search that the indexed search has at rank 1. In one process, without gRPC.
 *
 *   npm run bench -- search --target [--subjects 100000] [--mated 300] [--fingers 2] [--face] [--json]
 *   npm run bench -- search --first-hit [--graphs] [--subjects 100000] [--mated 300] [--fingers 2] [--face] [--json]
 *   npm run bench -- search [--subjects 100000] [--mated 300] [--non-mated 40] [--exact 4] [--workers 1]
 *     [--fingers 2] [--face] [--difficulty 2] [--json]
 *
 * --fingers 0 to 2, --face: samples of a probe. --difficulty of the probe's fingers: 1 is ordinary, above 2 is bad;
 * drawn for each when not given.
 *
 * --target: instead of costs, the list lengths that the service measures for three target hit rates (list-tuning.ts), and
 * the hit rates that they reach on other probes: those of the enrolled people, see target.ts.
 *
 * --first-hit: instead of costs, the time to the first answer of searches that accept an early one, see first-hit.ts;
 * --graphs: by graphs, too, which are built before: that takes about a millisecond for each reference.
 *
 * Prints CPU of the whole process by stage: scan, shortlist, compare, main thread. Faces are scanned by both methods.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { SearchResult } from '../../src/matching/search/identification.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import type { SearchView } from '../../src/matching/search/search-view.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { percentiles } from '../harness/percentiles.ts';
import { medianOf } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { printFirstHits } from './first-hit.ts';
import { watchStages } from './stages.ts';
import { printTargets } from './target.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { enrolPeople, partsFor } from '../gallery/enrolled-people.ts';
import { probesOf as probesOfPerson } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    mated: { type: 'string', default: '300' },
    'non-mated': { type: 'string', default: '40' },
    exact: { type: 'string', default: '4' },
    workers: { type: 'string', default: '1' },
    fingers: { type: 'string', default: '2' },
    face: { type: 'boolean', default: false },
    difficulty: { type: 'string' },
    target: { type: 'boolean', default: false },
    'first-hit': { type: 'boolean', default: false },
    graphs: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, mated, nonMated, exactSearches, workers, fingers] = [
  options.subjects,
  options.mated,
  options['non-mated'],
  options.exact,
  options.workers,
  options.fingers,
].map(Number);
const samples = {
  fingers,
  face: options.face,
  difficulty: options.difficulty === undefined ? undefined : Number(options.difficulty),
};

const gallery = emptyGallery();
await fillGallery(gallery, subjects - mated, availableParallelism(), partsFor(samples));
enrolPeople(gallery, mated, partsFor(samples));
gallery.startAt(1);
const pool = new WorkerPool(workers);
const [exact, indexed] = [new ExactScan(pool), new IndexedScan(pool)];
const planner = new Planner(pool);
if (options.face) {
  const coding = new FaceCoding({ current: gallery }, pool, (error) => {
    throw error;
  });
  await coding.run();
}

if (options.target) {
  await printTargets(gallery, pool, mated, samples, options.json);
  await pool.close();
  process.exit();
}

if (options['first-hit']) {
  await printFirstHits(gallery, pool, mated, samples, options.graphs, options.json);
  await pool.close();
  process.exit();
}

interface Cost {
  readonly cpuMs: number[];
  readonly elapsedMs: number[];
}
const costs = { indexed: newCost(), exact: newCost() };
const stages = watchStages(pool);

// Warm up: kernels are compiled, memory is paged in, costs are known.
for (let i = 0; i < 5; i++) await search(await probesOf(mated + nonMated + i), indexed);
const breakdown: Record<string, number>[] = [];
for (let i = 0; i < nonMated; i++) {
  const probes = await probesOf(mated + i);
  stages.begin();
  await measured(costs.indexed, probes, indexed);
  breakdown.push(stages.end(costs.indexed.cpuMs.at(-1) ?? NaN));
  if (i % Math.ceil(nonMated / exactSearches) === 0) await measured(costs.exact, probes, exact);
}
let [first, missed, neither] = [0, 0, 0];
const losses: string[] = [];
for (let i = 0; i < mated; i++) {
  const probes = await probesOf(i);
  if ((await search(probes, indexed)).candidates[0]?.subject.subjectId === `m${i}`) first++;
  else if ((await search(probes, exact)).candidates[0]?.subject.subjectId === `m${i}`) {
    missed++;
    losses.push(probes.map(({ template }) => ('minutiae' in template ? template.minutiae.length : 0)).join('+'));
  } else neither++;
}
const plannedProbes = await probesOf(mated);
const planned = await search(plannedProbes, (view) => planner.choose(plannedProbes, view, false));
await pool.close();

const report = {
  kernel: kernelHash(),
  subjects,
  references: gallery.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0),
  segmentMegabytes: Math.round(gallery.partitions.reduce((sum, { usedBytes }) => sum + usedBytes, 0) / 1e6),
  residentMegabytes: Math.round(process.memoryUsage.rss() / 1e6),
  workers,
  fingers,
  face: options.face,
  planned: planned.mode,
  indexed: summary(costs.indexed),
  exact: summary(costs.exact),
  mated: { searches: mated, first, missedByIndex: missed, rankedFirstByNeither: neither, minutiaeOfMissed: losses },
  hitRate: first / (first + missed),
  'stages of an indexed search, CPU ms': mediansOf(breakdown),
  nanoseconds: {
    'a byte of codes': pool.costs.code.milliseconds(1e6),
    'choosing, by reference and subject': pool.costs.choose.milliseconds(1e6),
    'adding one up': pool.costs.merge.milliseconds(1e6),
    'a comparison of fingers': pool.costs.finger.milliseconds(1e6),
    'a face': pool.costs.face.milliseconds(1e6),
  },
};
if (options.json) console.log(JSON.stringify(report));
else {
  const { indexed: ofIndexed, exact: ofExact, ...rest } = report;
  const costTable = [
    { way: 'indexed', ...ofIndexed },
    { way: 'exact', ...ofExact },
  ];
  console.table(inWords(costTable));
  console.dir(inWords(rest), { depth: 3 });
}

function probesOf(person: number): Promise<Probe[]> {
  return probesOfPerson(pool, person, samples);
}

function search(
  probes: readonly Probe[],
  source: CandidateSource | ((view: SearchView) => CandidateSource),
): Promise<SearchResult> {
  return searchAll(gallery, pool, probes, typeof source === 'function' ? source : () => source);
}

function mediansOf(parts: readonly Record<string, number>[]): Record<string, number> {
  const names = Object.keys(parts[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, Number(medianOf(parts.map((part) => part[name])).toFixed(2))]));
}

function newCost(): Cost {
  return { cpuMs: [], elapsedMs: [] };
}

async function measured(cost: Cost, probes: readonly Probe[], source: CandidateSource): Promise<void> {
  const [cpu, started] = [process.cpuUsage(), performance.now()];
  await search(probes, source);
  cost.elapsedMs.push(performance.now() - started);
  const { user, system } = process.cpuUsage(cpu);
  cost.cpuMs.push((user + system) / 1000);
}

function summary({ cpuMs, elapsedMs }: Cost) {
  const [cpu, elapsed] = [percentiles(cpuMs), percentiles(elapsedMs)];
  return {
    searches: cpuMs.length,
    'CPU ms, median': cpu.p50,
    'CPU ms, most': cpu.max,
    'elapsed ms, median': elapsed.p50,
    'elapsed ms, most': elapsed.max,
  };
}
