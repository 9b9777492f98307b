/**
 * Searches a second of concurrent callers whose scans are served together, against one scan a task, by turns: a face by
 * embeddings and by codes, and two fingers. Non-mated, in one process, without gRPC. `alone`: a single caller, who must
 * not become slower. The answers of both are compared.
 *
 *   npm run bench -- batches [--subjects 100000] [--rounds 9] [--seconds 2] [--callers 8] [--workers 1]
 *     [--faces-only] [--json]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { searchAll } from '../gallery/search.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { inLoops, type Round } from '../harness/closed-loops.ts';
import { medianOf } from '../harness/spread.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    callers: { type: 'string', default: '8' },
    workers: { type: 'string', default: '1' },
    'faces-only': { type: 'boolean', default: false },
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
const facesOnly = options['faces-only'];

const FACE: Samples = { fingers: 0, face: true };
const KINDS: readonly { readonly kind: string; readonly samples: Samples; readonly isExact: boolean }[] = [
  { kind: 'a face, by embeddings', samples: FACE, isExact: true },
  { kind: 'a face, by codes', samples: FACE, isExact: false },
  ...(facesOnly ? [] : [{ kind: 'two fingers, by codes', samples: { fingers: 2, face: false }, isExact: false }]),
];
/** Probes made beforehand. */
const PROBES = 40;

const gallery = emptyGallery();
await fillGallery(gallery, subjects, availableParallelism(), facesOnly ? ['faces'] : ['fingers', 'faces']);
gallery.startAt(1);
const [batched, single] = [new WorkerPool(workers), new WorkerPool(workers, undefined, 1)];
const fail = (error: unknown) => {
  throw error;
};
await new FaceCoding({ current: gallery }, batched, fail).run();

const rows = [];
for (const { kind, samples, isExact } of KINDS) {
  const probes: (readonly Probe[])[] = [];
  for (let i = 0; i < PROBES; i++) probes.push(await probesOf(batched, subjects + i, samples));
  const sources = [batched, single].map((pool) => (isExact ? new ExactScan(pool) : new IndexedScan(pool)));
  const search = (p: number, i: number) =>
    searchAll(gallery, p === 0 ? batched : single, probes[i % PROBES], () => sources[p], {
      threshold: { targetFpir: 0.01 },
    });
  const searches = (p: number, by: number) => inLoops(by, seconds, async (i) => void (await search(p, i)));
  for (const p of [0, 1]) await searches(p, callers);
  const [all, alone]: [Round[][], Round[][]] = [
    [[], []],
    [[], []],
  ];
  for (let round = 0; round < rounds; round++) {
    for (const p of round % 2 === 0 ? [0, 1] : [1, 0]) {
      all[p].push(await searches(p, callers));
      alone[p].push(await searches(p, 1));
    }
  }
  const answers = await Promise.all([0, 1].map((p) => Promise.all(probes.map((_, i) => search(p, i)))));
  const [together, apart] = answers.map((of) => JSON.stringify(of.map(({ candidates }) => candidates)));
  if (together !== apart) throw new Error(`${kind}: batches have changed an answer`);
  rows.push({ kind, callers: compared(all), alone: compared(alone) });
}
await Promise.all([batched, single].map((pool) => pool.close()));

if (options.json) console.log(JSON.stringify({ subjects, rounds, callers, workers, rows }));
else {
  console.log(`${subjects} subjects, ${callers} callers, ${workers} workers: batched against one scan a task`);
  console.table(
    rows.flatMap(({ kind, ...of }) =>
      (['callers', 'alone'] as const).map((who) => {
        const { perSecond, cpuMs, mainMs, ratio, least, most, cpuRatio } = of[who];
        return {
          search: `${kind}, ${who === 'alone' ? '1 caller' : `${callers} callers`}`,
          'searches/s': perSecond.join(' against '),
          'CPU ms per search': cpuMs.join(' against '),
          'main thread ms': mainMs.join(' against '),
          'ratio of searches/s': `${ratio} (${least} to ${most})`,
          'ratio of CPU': cpuRatio,
        };
      }),
    ),
  );
}

/** Batched against single scans, round by round. */
function compared([first, second]: Round[][]) {
  const rate = ({ done, seconds: during }: Round) => done / during;
  const ratios = first.map((of, i) => rate(of) / rate(second[i]));
  const cpu = ({ cpuMs, done }: Round) => cpuMs / done;
  return {
    perSecond: [first, second].map((of) => round2(medianOf(of.map(rate)))),
    cpuMs: [first, second].map((of) => round2(medianOf(of.map(cpu)))),
    mainMs: [first, second].map((of) => round2(medianOf(of.map(({ mainMs, done }) => mainMs / done)))),
    ratio: round2(medianOf(ratios)),
    least: round2(Math.min(...ratios)),
    most: round2(Math.max(...ratios)),
    cpuRatio: round2(medianOf(first.map((of, i) => cpu(of) / cpu(second[i])))),
  };
}

function round2(value: number): number {
  return Number(value.toFixed(2));
}
