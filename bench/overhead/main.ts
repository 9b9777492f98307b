/**
 * What mutual TLS, clients with policies, and the audit add to a search over gRPC: one gallery behind servers with more
 * and more of them.
 *
 *   npm run bench -- overhead [--subjects 100000] [--workers 2] [--rounds 10] [--seconds 2] [--json]
 *
 * Searches for two fingers, half of them mated. Servers, workers and the audit's writer are one process, as in the
 * service; callers are another; the database is embedded. Latency: one caller makes the same search by each server in
 * turn. Load: eight callers of one server at a time, in rounds. `CPU` is that of the service's process for a search,
 * `main thread` its part that workers cannot take over, `database` that of PostgreSQL. Its log and metrics are left out.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { gallerySizing, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { Spread } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import { enrolPeople } from '../gallery/enrolled-people.ts';
import { fillGallery } from '../gallery/synthetic-gallery.ts';
import { Callers, type CallerAddress } from './callers.ts';
import { databaseCpuMs } from './database-cpu.ts';
import { makeGuards, type Guards } from './guards.ts';
import { latencyOf, loadOf, type LatencyRow, type LoadRow, type Piece } from './summary.ts';

const { values } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    workers: { type: 'string', default: String(availableParallelism()) },
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, workers, rounds, seconds] = [values.subjects, values.workers, values.rounds, values.seconds].map(
  Number,
);
const ENROLLED = 50;
const CALLERS = 8;
const BASE = 'none';
const GUARDS: Readonly<Record<string, Guards>> = {
  [BASE]: { tls: false, access: false, audit: false },
  TLS: { tls: true, access: false, audit: false },
  'TLS, policies': { tls: true, access: true, audit: false },
  'TLS, policies, audit': { tls: true, access: true, audit: true },
};

const served = new ActiveGallery(gallerySizing(SEGMENT_CAPACITY));
await fillGallery(served.current, subjects - ENROLLED, availableParallelism());
enrolPeople(served.current, ENROLLED, ['fingers']);
served.current.startAt(1);
const pool = new WorkerPool(workers);
const guarded = await makeGuards(served, pool);
const callers = new Callers();
try {
  const names = Object.keys(GUARDS);
  const places: CallerAddress[] = [];
  for (const name of names) places.push(await guarded.serve(GUARDS[name]));
  const turns: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  const pieces: Piece[] = [];
  for (let round = -1; round < rounds; round++) {
    const latency = await called(places, 1, 2 * seconds);
    // The first round warms up.
    if (round >= 0) names.forEach((name, i) => turns[name].push(...latency[i]));
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const piece = await loaded(round, name, places[names.indexOf(name)]);
      if (round >= 0) pieces.push(piece);
    }
  }
  const [latency, load] = [latencyOf(turns, BASE), loadOf(pieces, BASE)];
  if (values.json) console.log(JSON.stringify({ subjects, workers, rounds, seconds, latency, load }));
  else {
    console.log(`${subjects} subjects, two fingers, ${workers} workers, ${rounds} rounds`);
    console.table(inWords(latency.map(shown)));
    console.table(inWords(load.map(shown)));
  }
} finally {
  callers.close();
  await guarded.close();
  await pool.close();
}

async function called(where: readonly CallerAddress[], count: number, forSeconds: number) {
  const order = { places: where, callers: count, seconds: forSeconds, enrolled: ENROLLED };
  const { answeredMs, failed, found } = await callers.call(order);
  if (failed > 0 || found === 0) throw new Error(`${failed} calls failed, ${found} answers had a candidate`);
  return answeredMs;
}

async function loaded(round: number, guards: string, place: CallerAddress): Promise<Piece> {
  const [cpu, main, database] = [process.cpuUsage(), process.threadCpuUsage(), databaseCpuMs(guarded.databaseDir)];
  const began = performance.now();
  const [answered] = await called([place], CALLERS, seconds);
  const ms = ({ user, system }: NodeJS.CpuUsage) => (user + system) / 1000;
  return {
    ...{ round, guards, answered: answered.length, seconds: (performance.now() - began) / 1000 },
    cpuMs: ms(process.cpuUsage(cpu)),
    mainMs: ms(process.threadCpuUsage(main)),
    databaseMs: databaseCpuMs(guarded.databaseDir) - database,
  };
}

/** Numbers with three digits; of a spread the median, and the quartiles in brackets. */
function shown(row: LatencyRow | LoadRow): Record<string, unknown> {
  const rounded = (value: number) => Number(value.toPrecision(3));
  const text = (value: string | number | Spread) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'number') return rounded(value);
    return `${rounded(value.median)} (${rounded(value.low)} to ${rounded(value.high)})`;
  };
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, text(value as string | number | Spread)]));
}
