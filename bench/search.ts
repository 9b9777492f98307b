/**
 * Searches with two known fingers among synthetic people: what one costs, by the exact and the indexed way, interleaved,
 * and how many mates the indexed way loses that a comparison of everything ranks first. In one process, without gRPC.
 *
 *   npm run bench -- search [--subjects 100000] [--mated 300] [--non-mated 40] [--exact 4] [--workers 1]
 *     [--fingers 2] [--difficulty 2] [--json]
 *
 * --difficulty of the probes: 1 ordinary, above 2 bad; drawn for each when not given
 *
 * CPU is that of the whole process, the main thread's work on lists included.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { build } from 'hdr-histogram-js';
import { createPerson } from '../fixtures/person.ts';
import { identify, type SearchResult } from '../src/matching/identification.ts';
import { kernelHash } from '../src/matching/kernels.ts';
import { prepareProbes, type Probe } from '../src/matching/probe.ts';
import { ReferenceEncoder } from '../src/matching/reference-encoder.ts';
import { EXACT, INDEXED, SubjectScan } from '../src/matching/subject-scan.ts';
import { WorkerPool } from '../src/matching/worker-pool.ts';
import { toFingerTemplate } from '../src/templates/normalise.ts';
import { emptyGallery, enrol, fillGallery } from './search-gallery.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    mated: { type: 'string', default: '300' },
    'non-mated': { type: 'string', default: '40' },
    exact: { type: 'string', default: '4' },
    workers: { type: 'string', default: '1' },
    fingers: { type: 'string', default: '2' },
    difficulty: { type: 'string' },
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
/** People who are searched for: not those of the gallery, of training or of calibration. */
const PROBE_SEED = 0xb0de5;
const POSITIONS = [2, 7] as const;

const gallery = emptyGallery();
await fillGallery(gallery, subjects - mated, availableParallelism());
const encoder = new ReferenceEncoder();
for (let i = 0; i < mated; i++)
  enrol(
    gallery,
    `m${i}`,
    POSITIONS.map((position) => encoder.encode(template(i, position, 0))),
  );
gallery.startAt(1);
const pool = new WorkerPool(workers);
const [exact, indexed] = [new SubjectScan(EXACT, pool), new SubjectScan(INDEXED, pool)];

interface Cost {
  readonly cpuMs: number[];
  readonly elapsedMs: number[];
}
const costs = { indexed: newCost(), exact: newCost() };

// Warm up: kernels are compiled, memory is paged in, costs are known.
for (let i = 0; i < 5; i++) await search(await probesOf(mated + nonMated + i, 1), indexed);
for (let i = 0; i < nonMated; i++) {
  const probes = await probesOf(mated + i, 1);
  await measured(costs.indexed, probes, indexed);
  if (i % Math.ceil(nonMated / exactSearches) === 0) await measured(costs.exact, probes, exact);
}
let [first, missed, neither] = [0, 0, 0];
const losses: string[] = [];
for (let i = 0; i < mated; i++) {
  const probes = await probesOf(i, 1);
  if ((await search(probes, indexed)).candidates[0]?.subject.subjectId === `m${i}`) first++;
  else if ((await search(probes, exact)).candidates[0]?.subject.subjectId === `m${i}`) {
    missed++;
    losses.push(probes.map(({ template }) => ('minutiae' in template ? template.minutiae.length : 0)).join('+'));
  } else neither++;
}
await pool.close();

const report = {
  kernel: kernelHash(),
  subjects,
  references: gallery.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0),
  segmentMegabytes: Math.round(gallery.partitions.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0) / 1e6),
  residentMegabytes: Math.round(process.memoryUsage.rss() / 1e6),
  workers,
  fingers,
  indexed: summary(costs.indexed),
  exact: summary(costs.exact),
  mated: { searches: mated, first, missedByIndex: missed, rankedFirstByNeither: neither, minutiaeOfMissed: losses },
  hitRate: first / (first + missed),
  nanoseconds: {
    'a vector': pool.costs.vector.milliseconds(1e6),
    'adding one up': pool.costs.merge.milliseconds(1e6),
    'a comparison': pool.costs.finger.milliseconds(1e6),
  },
};
if (options.json) console.log(JSON.stringify(report));
else {
  console.table([
    { way: 'indexed', ...report.indexed },
    { way: 'exact', ...report.exact },
  ]);
  console.log({ ...report, indexed: undefined, exact: undefined });
}

function template(person: number, position: 2 | 7, impression: number) {
  // The enrolment is done with care; the probe as hard as asked for.
  const hard = impression === 0 || options.difficulty === undefined ? undefined : Number(options.difficulty);
  const record = createPerson(PROBE_SEED, person).fingerImpression(position, impression, hard);
  return toFingerTemplate(record, record.views[0]);
}

function probesOf(person: number, impression: number): Promise<Probe[]> {
  const samples = POSITIONS.slice(0, fingers).map((position, sampleIndex) => ({
    sampleIndex,
    viewIndex: 0,
    template: template(person, position, impression),
  }));
  return prepareProbes(pool, samples);
}

function search(probes: readonly Probe[], source: SubjectScan): Promise<SearchResult> {
  const request = {
    probes,
    galleries: new Set<string>(),
    maxCandidates: 10,
    threshold: { maxLog10Fmr: 0 },
    standardFpir: 0.01,
  };
  return identify(gallery, () => source, pool, request, new AbortController().signal);
}

function newCost(): Cost {
  return { cpuMs: [], elapsedMs: [] };
}

async function measured(cost: Cost, probes: readonly Probe[], source: SubjectScan): Promise<void> {
  const [cpu, started] = [process.cpuUsage(), performance.now()];
  await search(probes, source);
  cost.elapsedMs.push(performance.now() - started);
  const { user, system } = process.cpuUsage(cpu);
  cost.cpuMs.push((user + system) / 1000);
}

function summary({ cpuMs, elapsedMs }: Cost) {
  const of = (values: readonly number[]) => {
    const histogram = build({ numberOfSignificantValueDigits: 3 });
    for (const value of values) histogram.recordValue(Math.round(value * 1000));
    const at = (percentile: number) => Number((histogram.getValueAtPercentile(percentile) / 1000).toFixed(1));
    return { median: at(50), most: at(100) };
  };
  const [cpu, elapsed] = [of(cpuMs), of(elapsedMs)];
  return {
    searches: cpuMs.length,
    'CPU ms, median': cpu.median,
    'CPU ms, most': cpu.most,
    'elapsed ms, median': elapsed.median,
    'elapsed ms, most': elapsed.most,
  };
}
