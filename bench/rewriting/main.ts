/**
 * Cost of rewriting the segments of a gallery of which half was expunged: CPU of the main thread, event loop delay,
 * memory released. In one process, without gRPC.
 *
 *   npm run bench -- rewriting [--subjects 100000] [--expunged 0.5] [--workers 1] [--searching] [--json]
 *
 * --searching: sequential searches run meanwhile. Event loop delay is sampled every millisecond; without --searching it
 * is caused by rewriting alone. Resident memory is read after searches, because threads release memory when they get a
 * task.
 */
import { availableParallelism } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { Random } from '../../src/random.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { SEEDS } from '../harness/seeds.ts';
import { inWords } from '../harness/words.ts';
import { emptyGallery, fillGallery } from '../gallery/synthetic-gallery.ts';
import { probesOf } from '../people/sought-people.ts';
import { searchAll } from '../gallery/search.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    expunged: { type: 'string', default: '0.5' },
    workers: { type: 'string', default: '1' },
    searching: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, expunged, workers] = [options.subjects, options.expunged, options.workers].map(Number);
/** Searches before resident memory is read: every thread gets a task and collects garbage. */
const SETTLING = 10;

const gallery = emptyGallery();
await fillGallery(gallery, subjects, availableParallelism());
gallery.startAt(1);
const pool = new WorkerPool(workers);
const source = new IndexedScan(pool);
const probes = await probesOf(pool, 0, { fingers: 2, face: false });
await settle();
const full = memory();

const random = new Random(SEEDS.expunged, subjects, 1);
for (let i = 0; i < subjects; i++) {
  if (random.uniform() < expunged) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `s${i}` });
}
await settle();
const holed = memory();

const compactor = new Compactor({ current: gallery }, (error) => {
  throw error;
});
const ended = new AbortController();
const searching = options.searching ? searchUntil(ended.signal) : Promise.resolve();
const pauses = monitorEventLoopDelay({ resolution: 1 });
const [cpu, started] = [process.threadCpuUsage(), performance.now()];
pauses.enable();
await compactor.run();
pauses.disable();
const elapsedMs = performance.now() - started;
const { user, system } = process.threadCpuUsage(cpu);
ended.abort();
await searching;
await settle();
const rewritten = memory();
// The state a minute later, when unused memory kept for new segments has been released.
gallery.releaseMemory(Infinity);
await settle();
gallery.releaseMemory(Infinity);
await settle();
const later = memory();
await pool.close();

const references = gallery.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0);
const report = {
  subjects,
  referencesLeft: references,
  workers,
  searching: options.searching,
  rewritings: compactor.compactions,
  'main thread ms': Math.round((user + system) / 1000),
  'main thread µs a reference': Number(((user + system) / references).toFixed(2)),
  'elapsed ms': Math.round(elapsedMs),
  'longest pause ms': Number((pauses.max / 1e6).toFixed(1)),
  'p99 of pauses ms': Number((pauses.percentile(99) / 1e6).toFixed(1)),
  memory: { full, 'half gone': holed, rewritten, 'a minute later': later },
};
if (options.json) console.log(JSON.stringify(report));
else {
  const { memory: memories, ...rest } = report;
  console.table(inWords(memories));
  console.log(inWords(rest));
}

function search() {
  return searchAll(gallery, pool, probes, () => source);
}

async function searchUntil(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await search();
}

async function settle(): Promise<void> {
  for (let i = 0; i < SETTLING; i++) await search();
}

function memory() {
  const sum = (of: 'segmentCount' | 'removedCount' | 'usedBytes') =>
    gallery.partitions.reduce((total, partition) => total + partition[of], 0);
  return {
    segments: sum('segmentCount'),
    removed: sum('removedCount'),
    'segments MB': megabytes(sum('usedBytes')),
    'resident MB': megabytes(process.memoryUsage.rss()),
  };
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
