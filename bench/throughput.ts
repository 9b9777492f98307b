/**
 * Searches a second with one worker and with two, interleaved, for two fingers and for a face; and beside each the same
 * for the kernels alone, with nothing of the engine around them: what this machine's second core is worth at best. In
 * one process, without gRPC; as many searches at a time as the service lets run.
 *
 *   npm run bench -- throughput [--subjects 100000] [--rounds 9] [--seconds 2] [--json]
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { identify } from '../src/matching/identification.ts';
import { Planner } from '../src/matching/planner.ts';
import type { PackedProbe } from '../src/matching/messages.ts';
import type { Probe } from '../src/matching/probe.ts';
import { SearchView } from '../src/matching/search-view.ts';
import { WorkerPool } from '../src/matching/worker-pool.ts';
import { emptyGallery, fillGallery } from './search-gallery.ts';
import { probesOf, type Samples } from './search-people.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, rounds, seconds] = [options.subjects, options.rounds, options.seconds].map(Number);
/** As in the service. */
const SEARCHES_PER_WORKER = 2;
const PROBES = 40;

const KINDS: readonly { readonly name: string; readonly samples: Samples }[] = [
  { name: 'two fingers', samples: { fingers: 2, face: false } },
  { name: 'a face', samples: { fingers: 0, face: true } },
];

const gallery = emptyGallery();
await fillGallery(gallery, subjects, availableParallelism(), ['fingers', 'faces']);
gallery.startAt(1);
const pools = [new WorkerPool(1), new WorkerPool(2)];
const results = [];
for (const { name, samples } of KINDS) {
  const probes: Probe[][] = [];
  for (let person = 0; person < PROBES; person++) probes.push(await probesOf(pools[0], person, samples));
  results.push({ search: name, ...(await compareOn((pool) => searcher(pool, probes), SEARCHES_PER_WORKER)) });
  results.push({ search: `${name}: kernel alone`, ...(await compareOn((pool) => kernelWork(pool, probes[0][0]), 2)) });
}
for (const pool of pools) await pool.close();
if (options.json) console.log(JSON.stringify({ subjects, rounds, results }));
else console.table(results);

/** One search after the other. */
function searcher(pool: WorkerPool, probes: readonly Probe[][]): () => Promise<unknown> {
  const planner = new Planner(pool);
  let next = 0;
  return () => {
    const searched = probes[next++ % probes.length];
    const request = {
      probes: searched,
      galleries: new Set<string>(),
      maxCandidates: 10,
      threshold: { targetFpir: 0.01 },
      standardFpir: 0.01,
    };
    const choose = (view: SearchView) => planner.choose(searched, view, false);
    return identify(gallery, choose, pool, request, new AbortController().signal);
  };
}

/** A long task of one kernel: of fingers the comparison of 2,000 references, of faces of a whole segment ten times. */
function kernelWork(pool: WorkerPool, probe: Probe): () => Promise<unknown> {
  const view = new SearchView(gallery, [probe], new Set(), Date.now());
  const [{ segment, end }] = view.rangesFor(probe);
  view.close();
  const packed = probe.packed as PackedProbe;
  const once = Uint32Array.from({ length: Math.min(end, packed.modality === 'finger' ? 2000 : end) }, (_, i) => i);
  const pieces = Array.from({ length: packed.modality === 'finger' ? 1 : 10 }, () => ({
    segment: segment.handle.id,
    indices: once,
  }));
  return () => pool.compare({ kind: 'compare', probe: packed, pieces }, [segment.handle]);
}

/** Runs the work on either pool by turns. */
async function compareOn(workOn: (pool: WorkerPool) => () => Promise<unknown>, callersPerWorker: number) {
  const works = pools.map(workOn);
  const rates = pools.map((): number[] => []);
  for (let round = -1; round < rounds; round++) {
    for (const [p, pool] of pools.entries()) {
      const rate = await ratePerSecond(works[p], callersPerWorker * pool.size);
      // The first round warms up.
      if (round >= 0) rates[p].push(rate);
    }
  }
  const ratios = rates[1].map((rate, round) => rate / rates[0][round]);
  const [one, two] = rates.map((list) => Number(quantile(list, 0.5).toFixed(1)));
  return {
    'one worker, /s': one,
    'two workers, /s': two,
    ratio: Number(quantile(ratios, 0.5).toFixed(2)),
    quartiles: [0.25, 0.75].map((q) => quantile(ratios, q).toFixed(2)).join(' to '),
  };
}

async function ratePerSecond(work: () => Promise<unknown>, callers: number): Promise<number> {
  const started = performance.now();
  let done = 0;
  const caller = async () => {
    while (performance.now() - started < seconds * 1000) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done / ((performance.now() - started) / 1000);
}

function quantile(sample: readonly number[], q: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))];
}
