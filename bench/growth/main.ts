/**
 * Search cost by gallery size, from 10,000 subjects to --subjects: two fingers, a face, and both; non-mated searches,
 * planned and exact. A straight line through the larger galleries predicts ten times as many. In one process, one
 * worker, without gRPC.
 *
 *   npm run bench -- growth [--subjects 1000000] [--searches 12] [--exact 2] [--plot growth.svg] [--json]
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { medianOf } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { costAt } from '../harness/cost-line.ts';
import { costCurves, costPlot, predictedSize } from './cost-plot.ts';
import { addPeople, emptyGallery } from '../gallery/synthetic-gallery.ts';
import { probesOf, type Samples } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '1000000' },
    searches: { type: 'string', default: '12' },
    exact: { type: 'string', default: '2' },
    plot: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [most, searches, exactSearches] = [options.subjects, options.searches, options.exact].map(Number);
const sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000].filter((size) => size < most);
sizes.push(most);

const KINDS: readonly { readonly name: string; readonly samples: Samples }[] = [
  { name: 'two fingers', samples: { fingers: 2, face: false } },
  { name: 'a face', samples: { fingers: 0, face: true } },
  { name: 'two fingers and a face', samples: { fingers: 2, face: true } },
];
/** The service's default threshold: a search returns no candidate below it. */
const AT_THE_THRESHOLD = { threshold: { targetFpir: 0.01 } };
const WAYS = ['as planned', 'exact'] as const;

const gallery = emptyGallery();
const pool = new WorkerPool(1);
const coding = new FaceCoding({ current: gallery }, pool, (error) => {
  throw error;
});
const planner = new Planner(pool);
const rows: { subjects: number; kind: string; way: string; mode: string; cost: number; residentMegabytes: number }[] =
  [];
let person = 0;
let filled = 0;
for (const size of sizes) {
  await addPeople(gallery, filled, size, availableParallelism(), ['fingers', 'faces']);
  await coding.run();
  if (filled === 0) gallery.startAt(1);
  filled = size;
  for (const { name, samples } of KINDS) {
    const costs = { 'as planned': [] as number[], exact: [] as number[] };
    const modes = { 'as planned': '', exact: '' };
    // The first few warm up: threads instantiate the new segments.
    for (let i = -3; i < searches; i++) {
      const probes = await probesOf(pool, person++, samples);
      for (const way of WAYS) {
        if (way === 'exact' && i !== -1 && (i < 0 || i % Math.ceil(searches / exactSearches) !== 0)) continue;
        const before = process.cpuUsage();
        const { mode } = await searchAll(
          gallery,
          pool,
          probes,
          (view) => planner.choose(probes, view, way === 'exact'),
          AT_THE_THRESHOLD,
        );
        const { user, system } = process.cpuUsage(before);
        modes[way] = mode;
        if (i >= 0) costs[way].push((user + system) / 1000);
      }
    }
    const residentMegabytes = Math.round(process.memoryUsage.rss() / 1e6);
    for (const way of WAYS) {
      const cost = Number(medianOf(costs[way]).toFixed(2));
      rows.push({ subjects: size, kind: name, way, mode: modes[way], cost, residentMegabytes });
    }
  }
}
await pool.close();

const predicted = predictedSize(rows);
const predictions = costCurves(rows).flatMap(({ name, line }) =>
  line === undefined
    ? []
    : [
        {
          search: name,
          'fixed ms': Number(line.fixed.toFixed(1)),
          'ns a subject': Number((line.perSubject * 1e6).toFixed(1)),
          [`ms predicted at ${predicted}`]: Math.round(costAt(line, predicted)),
        },
      ],
);
if (options.plot !== undefined) writeFileSync(options.plot, costPlot(rows));
if (options.json) console.log(JSON.stringify({ rows, predictions }));
else {
  console.table(inWords(rows.map(({ cost, ...row }) => ({ ...row, 'CPU ms, median': cost }))));
  console.table(inWords(predictions));
}
