/**
 * Searches a second with several workers against one, with concurrent searches as in the service: two fingers, and a
 * face; non-mated. Rounds of both are interleaved with rounds of kernel work alone on one thread and on as many: cores
 * that are shared, or two hardware threads of one core, do not double any program. `ratio by CPU` is the bound that the
 * threads' CPU time sets; it holds on a busy machine. In one process, without gRPC.
 *
 *   npm run bench -- throughput [--subjects 100000] [--rounds 9] [--seconds 2] [--callers 2] [--workers 2] [--exact]
 *     [--json]
 *
 * --callers: concurrent searches per worker. --workers: compared with one. --exact: exact search instead of the planned
 * one.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { SegmentRange } from '../../src/gallery/partition.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { partitionsFor, type Probe } from '../../src/matching/search/probe.ts';
import type { SearchView } from '../../src/matching/search/search-view.ts';
import { StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { inLoops, type Round } from '../harness/closed-loops.ts';
import { medianOf } from '../harness/spread.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    callers: { type: 'string', default: '2' },
    workers: { type: 'string', default: '2' },
    exact: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, rounds, seconds, callers, workers] = [
  options.subjects,
  options.rounds,
  options.seconds,
  options.callers,
  options.workers,
].map(Number);

const KINDS: readonly { readonly kind: string; readonly samples: Samples }[] = [
  { kind: 'two fingers', samples: { fingers: 2, face: false } },
  { kind: 'a face', samples: { fingers: 0, face: true } },
];
/** Probes made beforehand: making them takes one thread the same time, however many workers there are. */
const PROBES = 40;
/** Finger comparisons in one task of pure kernel work. */
const COMPARISONS = 4096;

const gallery = emptyGallery();
await fillGallery(gallery, subjects, availableParallelism(), ['fingers', 'faces']);
gallery.startAt(1);
const pools = [new WorkerPool(1), new WorkerPool(workers)] as const;
const planners = pools.map((pool) => new Planner(pool));

const rows = [];
for (const { kind, samples } of KINDS) {
  const probes: (readonly Probe[])[] = [];
  for (let i = 0; i < PROBES; i++) probes.push(await probesOf(pools[0], i, samples));
  const modes = new Set<string>();
  const searches = (p: number, forSeconds: number) =>
    inLoops(callers * pools[p].size, forSeconds, async (i) => {
      const of = probes[i % PROBES];
      const choose = (view: SearchView) => planners[p].choose(of, view, options.exact);
      modes.add((await searchAll(gallery, pools[p], of, choose, { threshold: { targetFpir: 0.01 } })).mode);
    });
  const kernels = (p: number, forSeconds: number) =>
    inLoops(pools[p].size, forSeconds, (i) => kernelWork(pools[p], probes[i % PROBES][0]));
  // Warm up: kernels are compiled, memory is paged in, threads have instantiated the segments, costs are known.
  for (const p of [0, 1]) for (const work of [searches, kernels]) await work(p, seconds / 2);
  const [searched, ceiling]: [Round[][], Round[][]] = [
    [[], []],
    [[], []],
  ];
  for (let round = 0; round < rounds; round++) {
    for (const p of round % 2 === 0 ? [0, 1] : [1, 0]) {
      searched[p].push(await searches(p, seconds));
      ceiling[p].push(await kernels(p, seconds / 2));
    }
  }
  rows.push({
    kind,
    mode: [...modes].join(', '),
    searched: comparison(searched),
    kernels: comparison(ceiling),
    ofCeiling: round2(comparison(searched).ratio.median / comparison(ceiling).ratio.median),
  });
}
await Promise.all(pools.map((pool) => pool.close()));

if (options.json) console.log(JSON.stringify({ subjects, rounds, callers, workers, rows }));
else {
  console.log(`${subjects} subjects, ${callers} concurrent searches per worker`);
  console.table(
    rows.flatMap(({ kind, mode, searched, kernels, ofCeiling }) => [
      { work: `${kind}, ${mode}`, ...flat(searched), 'share of kernel ratio': ofCeiling },
      { work: `${kind}, kernels alone`, ...flat(kernels) },
    ]),
  );
}

/** One long task of the kernel that dominates the search. */
async function kernelWork(pool: WorkerPool, { template, packed }: Probe): Promise<void> {
  const [range] = partitionsFor(template).flatMap((name) => gallery.partition(name)?.ranges() ?? []);
  if (packed === undefined) throw new Error('the probe has too few minutiae');
  if (packed.modality === 'face') await readAll(pool, packed, range);
  else {
    const indices = Uint32Array.from({ length: Math.min(COMPARISONS, range.end) }, (_, i) => i);
    const { segment } = range;
    const pieces = [{ segment: segment.handle.id, indices }];
    await pool.compare({ kind: 'compare', probe: packed, pieces }, [segment.handle]);
  }
}

async function readAll(pool: WorkerPool, probe: PackedProbe, { segment, end }: SegmentRange): Promise<void> {
  const { handle } = segment;
  const similarities = new SharedArrayBuffer(2 * end);
  const range = { segment: handle.id, from: 0, to: end, similarities, offset: 0, stop: new StopSignal().all };
  await pool.scan({ kind: 'scan', probe, ...range }, handle);
}

/** One worker against several, round by round. */
function comparison([one, several]: Round[][]) {
  const rate = (of: Round) => of.done / of.seconds;
  return {
    one: round2(medianOf(one.map(rate))),
    several: round2(medianOf(several.map(rate))),
    cpuMs: [one, several].map((of) => round2(medianOf(of.map(({ cpuMs, done }) => cpuMs / done)))),
    mainMs: [one, several].map((of) => round2(medianOf(of.map(({ mainMs, done }) => mainMs / done)))),
    byCpu: round2(byCpu(one, several)),
    ratio: spread(one.map((of, i) => rate(several[i]) / rate(of))),
  };
}

/**
 * Upper bound of the ratio on an idle machine. One worker is limited only by its own work; several workers are also
 * limited by the cores, which they share with the main thread.
 */
function byCpu(one: readonly Round[], several: readonly Round[]): number {
  const ofWorkers = medianOf(one.map(({ cpuMs, mainMs, done }) => (cpuMs - mainMs) / done));
  const ofAll = medianOf(several.map(({ cpuMs, done }) => cpuMs / done));
  return Math.min(workers, (availableParallelism() * ofWorkers) / ofAll);
}

function flat({ one, several, cpuMs, mainMs, byCpu, ratio }: ReturnType<typeof comparison>) {
  return {
    '1 worker, /s': one,
    [`${workers} workers, /s`]: several,
    'CPU ms per search': cpuMs.join(', '),
    'main thread ms': mainMs.join(', '),
    'ratio by CPU': byCpu,
    ratio: ratio.median,
    'min to max': `${ratio.least} to ${ratio.most}`,
  };
}

function spread(values: readonly number[]) {
  return { median: round2(medianOf(values)), least: round2(Math.min(...values)), most: round2(Math.max(...values)) };
}

function round2(value: number): number {
  return Number(value.toFixed(2));
}
