/**
 * A service under long load with everything that operators and checkpoints do: searches, enrolments, expunging, new
 * indexes, injected faults. Finds memory growth, latency drift, and wrong results.
 *
 *   npm run bench -- soak [--minutes 10] [--subjects 2000] [--rate 15] [--faults 2] [--round 30] [--json]
 *
 * Searches are open loop at --rate a second, in rounds of --round seconds. Subjects are enrolled and expunged in equal
 * numbers. Every fourth round builds and publishes an index. After an eighth of the rounds the service is killed
 * (SIGKILL) and started again; then the database is killed --faults times at equal intervals, and restarts by itself.
 *
 * Results are checked: an enrolled subject must be returned, at once and later; an expunged subject must never be.
 * Memory and latency are compared between the first and the last third of the rounds since the restart, without those
 * of a fault.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SEEDS } from '../harness/seeds.ts';
import { LivingGallery } from './living-gallery.ts';
import { generate } from '../calls/generate.ts';
import { ONLY_TWO_FINGERS } from '../calls/kinds.ts';
import { percentiles } from '../harness/percentiles.ts';
import { medianOf } from '../harness/spread.ts';
import { inWords } from '../harness/words.ts';
import {
  databaseProcess,
  startCommand,
  endProcess,
  residentMegabytes,
  startProcess,
  type ServiceProcess,
} from '../service/process.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    subjects: { type: 'string', default: '2000' },
    rate: { type: 'string', default: '15' },
    faults: { type: 'string', default: '2' },
    round: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
});
const [minutes, subjects, rate, faults, roundSeconds] = [
  options.minutes,
  options.subjects,
  options.rate,
  options.faults,
  options.round,
].map(Number);
const INDEX_EVERY = 4;

type Fault = 'database killed' | 'service killed' | undefined;

interface Round {
  readonly fault: Fault;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly answered: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly residentMegabytes: number;
}

const rounds = Math.max(3, Math.round((60 * minutes) / roundSeconds));
const restartAt = faults > 0 ? Math.floor(rounds / 8) : -1;
const faultAt = new Map<number, Fault>(
  Array.from({ length: faults }, (_, i) => [
    restartAt + Math.ceil(((i + 1) * (rounds - restartAt)) / (faults + 1)) - 1,
    'database killed',
  ]),
);
if (faults > 0) faultAt.set(restartAt, 'service killed');

const dataDir = mkdtempSync(join(tmpdir(), 'ridgewatch-soak-'));
let service = await start();
const living = new LivingGallery(service.address);
const done: Round[] = [];
let indexes = 0;
try {
  // Kernels are compiled, caches are warm.
  await load(5);
  for (let round = 0; round < rounds; round++) {
    done.push(await runRound(round));
    process.stderr.write(`round ${round + 1} of ${rounds}: ${JSON.stringify(done.at(-1))}\n`);
  }
  const checked = await living.checkEverybody();
  report(checked);
} finally {
  living.close();
  await endProcess(service.child);
  rmSync(dataDir, { recursive: true, force: true });
}

function start(): Promise<ServiceProcess> {
  return startProcess(dataDir, { RIDGEWATCH_DEMO: 'always', RIDGEWATCH_DEMO_SUBJECTS: String(subjects) });
}

function load(seconds: number) {
  const { address } = service;
  const seed = SEEDS.arrivals + done.length;
  return generate({
    address,
    seed,
    rate,
    seconds,
    deadlineMs: 10_000,
    subjects,
    allowPartial: false,
    mix: ONLY_TWO_FINGERS,
  });
}

async function runRound(round: number): Promise<Round> {
  const fault = faultAt.get(round);
  const loaded = load(roundSeconds);
  const changes = living.change((1000 * roundSeconds) / 2);
  const built = round % INDEX_EVERY === INDEX_EVERY - 1 ? buildIndex() : Promise.resolve();
  if (fault !== undefined) await strike(fault);
  await Promise.all([changes, built]);
  const { answeredMs, failures } = await loaded;
  await living.checkSome();
  return {
    fault,
    ...percentiles(answeredMs),
    answered: answeredMs.length,
    failures,
    residentMegabytes: residentMegabytes(service.child),
  };
}

async function strike(fault: Exclude<Fault, undefined>): Promise<void> {
  await new Promise((ready) => setTimeout(ready, (1000 * roundSeconds) / 4));
  if (fault === 'database killed') {
    process.kill(databaseProcess(dataDir), 'SIGKILL');
    return;
  }
  await endProcess(service.child, 'SIGKILL');
  service = await start();
  living.moveTo(service.address);
}

async function buildIndex(): Promise<void> {
  const builder = startCommand(['index', 'build', '--publish', '--workers', '1'], dataDir);
  const [status] = (await once(builder, 'exit')) as [number | null];
  if (status === 0) indexes++;
}

function report(checked: Awaited<ReturnType<LivingGallery['checkEverybody']>>): void {
  const calm = done.filter(({ fault }) => fault === undefined);
  const ofOneProcess = done.slice(restartAt + 1).filter(({ fault }) => fault === undefined);
  const third = Math.max(1, Math.floor(ofOneProcess.length / 3));
  const [first, last] = [ofOneProcess.slice(0, third), ofOneProcess.slice(-third)];
  const median = (part: readonly Round[], of: (round: Round) => number) => medianOf(part.map(of));
  const drift = (of: (round: Round) => number) => ({
    'first third': median(first, of),
    'last third': median(last, of),
    ratio: Number((median(last, of) / median(first, of)).toFixed(3)),
  });
  const failed = calm.flatMap(({ failures }) => Object.values(failures)).reduce((sum, count) => sum + count, 0);
  const result = {
    minutes,
    subjects,
    'searches/s': rate,
    rounds: rounds,
    faults: done.flatMap(({ fault }) => fault ?? []),
    'indexes published': indexes,
    searches: done.reduce((sum, { answered }) => sum + answered, 0),
    'failed outside of faults': failed,
    'p50, ms': drift(({ p50 }) => p50),
    'p99, ms': drift(({ p99 }) => p99),
    'memory, MB': drift(({ residentMegabytes: megabytes }) => megabytes),
    ...checked,
  };
  if (options.json) console.log(JSON.stringify({ ...result, each: done }));
  else console.dir(inWords(result), { depth: 3 });
  if (failed + checked['enrolled and not found'] + checked['expunged and found'] > 0) process.exitCode = 1;
}
