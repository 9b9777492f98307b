/**
 * The service under load over gRPC, on the embedded database. Calls are open loop with Poisson arrivals, sent by other
 * processes. Latency counts from the scheduled send time.
 *
 *   npm run bench -- load [--subjects 10000] [--seconds 15] [--deadline 1000] [--p99 250] [--processes 2] [--searches-only]
 *     [--enrolments 100] [--json]
 *
 * 1. One caller: sequential searches with two fingers.
 * 2. Closed loop with 8 callers. Then rising open-loop rates of a mix of calls: two fingers, one, ten, a face, enrolments;
 *    half of the searches are mated. The sustainable rate is the last without a refusal or a missed deadline. The knee is
 *    the last with a p99 within --p99. Service CPU and queue length are sampled.
 * 3. Half the sustainable rate, with concurrent HTTP requests by autocannon: health, metrics, searches.
 * 4. Three times the sustainable rate, two fingers only; then the same with partial results allowed.
 * 5. Sequential enrolments beside 20 searches a second: the time until the call returns, when the subject is searchable.
 *    Every fifth is searched at once.
 *
 * The gallery is kept in the temporary folder between runs; subjects enrolled by a run are expunged. Load generators
 * share the cores of the machine with the service.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { createPerson } from '../../fixtures/person.ts';
import { GalleryClient, type EnrollResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { SETTINGS } from '../../src/service-settings.ts';
import { demoPerson, demoSamples } from '../../src/service/demo-gallery.ts';
import { SEEDS } from '../harness/seeds.ts';
import { watched, type Beside } from './beside.ts';
import type { LoadOptions, LoadReport } from '../calls/generator.ts';
import { askHttp, searchHttp } from './http.ts';
import { BORDER, ONLY_TWO_FINGERS } from '../calls/kinds.ts';
import { closedLoop } from '../calls/closed-loop.ts';
import { generate } from '../calls/generate.ts';
import { curveOf, percentiles } from '../harness/percentiles.ts';
import { inWords } from '../harness/words.ts';
import { benchData } from '../service/subject-data.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { endProcess, promised, residentMegabytes, startProcess } from '../service/process.ts';
import { channelOf, tokenOf } from '../service/channel.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '15' },
    deadline: { type: 'string', default: '1000' },
    enrolments: { type: 'string', default: '100' },
    p99: { type: 'string', default: '250' },
    processes: { type: 'string', default: '2' },
    'searches-only': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, seconds, deadlineMs, enrolments, targetP99, processes] = [
  options.subjects,
  options.seconds,
  options.deadline,
  options.enrolments,
  options.p99,
  options.processes,
].map(Number);
const mix = options['searches-only'] ? ONLY_TWO_FINGERS : BORDER;
const UNLOADED_SEARCHES = 100;
const STEPS = [0.3, 0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.6, 2];
const HTTP_PATHS = ['/readyz', '/metrics'] as const;
const SEARCHES_BESIDE_ENROLMENTS = 20;

const dataDir = join(tmpdir(), `ridgewatch-load-${subjects}`);
const made = join(dataDir, 'made');
if (!existsSync(made)) rmSync(dataDir, { recursive: true, force: true });
mkdirSync(dataDir, { recursive: true });
const { child, address, httpAddress } = await startProcess(dataDir, {
  RIDGEWATCH_DEMO: 'always',
  RIDGEWATCH_DEMO_SUBJECTS: String(subjects),
  RIDGEWATCH_HTTP_IDENTIFY: 'true',
});
writeFileSync(made, '');
let ended = false;
child.once('exit', () => (ended = true));
const headers = { authorization: `Bearer ${tokenOf(address)}` };
const client = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
const gallery = new GalleryClient(address, credentials.createInsecure(), channelOf(address));
try {
  await oneByOne(20);
  const unloaded = await oneByOne(UNLOADED_SEARCHES);
  const probes = Array.from({ length: 40 }, (_, i) => samplesOf(i));
  const capacity = await closedLoop(8, seconds, probes, identify);
  const before = residentMegabytes(child);
  const steps: Step[] = [];
  let sustainable = capacity * STEPS[0];
  let knee = 0;
  for (const share of STEPS) {
    const rate = capacity * share;
    const { result, beside } = await watched(child, httpAddress, headers, () => load(rate, { mix }));
    const step = stepOf(rate, result, beside);
    steps.push(step);
    if (step.p99 <= targetP99) knee = rate;
    if (Object.keys(result.failures).length > 0) break;
    sustainable = rate;
  }
  const half = load(sustainable / 2, { mix });
  const http = [];
  const part = seconds / (HTTP_PATHS.length + 1);
  for (const path of HTTP_PATHS) http.push(await askHttp(httpAddress, path, part, headers));
  http.push(await searchHttp(httpAddress, samplesOf(0), part, headers));
  const besideHttp = await half;
  const overload = await load(3 * sustainable);
  const partial = await load(3 * sustainable, { allowPartial: true });
  const after = await oneByOne(UNLOADED_SEARCHES);
  const residentAfter = residentMegabytes(child);
  const enrolment = await enrolWhileSearching(capacity);
  const report = {
    subjects,
    deadlineMs,
    mix,
    'generators, processes': processes,
    unloaded: percentiles(unloaded),
    'eight callers, searches/s': Number(capacity.toFixed(1)),
    steps,
    sustainable: Number(sustainable.toFixed(1)),
    [`calls/s at p99 within ${targetP99} ms`]: Number(knee.toFixed(1)),
    http: { 'gRPC calls/s beside': Number((sustainable / 2).toFixed(1)), calls: summary(besideHttp), asked: http },
    overload: {
      'searches/s': Number((3 * sustainable).toFixed(1)),
      ...summary(overload),
      'refusals that say when to try again': overload.retryAfterMs.filter(Number.isFinite).length,
      'try again after, ms': percentiles(overload.retryAfterMs),
      'refused within, ms': percentiles(overload.refusedMs),
      'bound of the queue, ms': Math.round(queueBoundMs(capacity)),
      'bound of p99, ms': Math.round(2 * percentiles(unloaded).p99 + queueBoundMs(capacity)),
    },
    'overload, partial answers will do': { ...summary(partial), 'partial answers': partial.partial },
    'unloaded again': percentiles(after),
    residentMegabytes: { before, after: residentAfter },
    stillRunning: !ended,
    enrolment,
  };
  if (options.json) console.log(JSON.stringify(report));
  else print(report);
} finally {
  client.close();
  gallery.close();
  await endProcess(child);
}

interface Step {
  readonly 'calls/s': number;
  readonly p99: number;
  readonly [what: string]: unknown;
}

function stepOf(rate: number, report: LoadReport, { cores, queue }: Beside): Step {
  const byKind = Object.entries(report.byKind).map(([kind, took]) => [kind, percentiles(took)]);
  return {
    'calls/s': Number(rate.toFixed(1)),
    ...summary(report),
    'cores of the service': cores,
    'queue, median and most': `${queue.median}, ${queue.most}`,
    curve: curveOf(report.answeredMs),
    byKind: Object.fromEntries(byKind) as Record<string, unknown>,
  };
}

function print({ steps, ...report }: { readonly steps: readonly Step[] } & object): void {
  console.dir(inWords(report), { depth: 4 });
  console.log('Open loop at rising rates:');
  console.table(inWords(steps.map(({ curve: _curve, byKind: _byKind, ...row }) => row)));
  console.log(`Latency by kind of call at ${steps[0]['calls/s']} calls/s, ms:`);
  console.table(steps[0].byKind);
}

/** Two fingers of enrolled people and of people who are not enrolled, alternating. */
function samplesOf(i: number): Sample[] {
  return demoSamples(demoPerson(i % 2 === 0 ? i % subjects : subjects + i), 1).slice(0, 2);
}

function identify(samples: Sample[]): Promise<IdentifyResponse> {
  const request = identifyRequest(samples);
  return promised((callback) => client.identify(request, callback));
}

async function oneByOne(searches: number): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < searches; i++) {
    const samples = samplesOf(i);
    const started = performance.now();
    await identify(samples);
    took.push(performance.now() - started);
  }
  return took;
}

/** Longest wait of a search: the time for a full queue, or the deadline, because longer waits are refused. */
function queueBoundMs(capacity: number): number {
  const longest = Number(SETTINGS.RIDGEWATCH_MAX_QUEUED_SEARCHES.fallback);
  return Math.min(deadlineMs, (longest / capacity) * 1000);
}

function load(rate: number, changes: Partial<LoadOptions> = {}): Promise<LoadReport> {
  const order = {
    address,
    seed: SEEDS.arrivals + Math.round(rate),
    rate,
    seconds,
    deadlineMs,
    subjects,
    allowPartial: false,
  };
  return generate({ ...order, ...changes }, processes);
}

/** Latency of enrolments beside searches, and whether an enrolled subject is found at once. */
async function enrolWhileSearching(capacity: number) {
  const people = Array.from({ length: enrolments }, (_, i) =>
    demoSamples(createPerson(SEEDS.enrolled, i), 0).slice(0, 2),
  );
  // Runs longer than the enrolments and is stopped with them.
  const reported = generate({
    address,
    seed: SEEDS.arrivals,
    rate: SEARCHES_BESIDE_ENROLMENTS,
    seconds: enrolments / 5 + 5,
    deadlineMs: 10_000,
    subjects,
    allowPartial: false,
  });
  await new Promise((done) => setTimeout(done, 3000));
  const took: number[] = [];
  let [sought, found] = [0, 0];
  for (const [i, samples] of people.entries()) {
    const started = performance.now();
    const { subject } = await promised<EnrollResponse>((callback) =>
      gallery.enroll(enrolRequest(i, samples), callback),
    );
    took.push(performance.now() - started);
    const subjectId = subject?.subjectId ?? '';
    if (i % 5 === 0) {
      sought++;
      if ((await identify(samples)).candidates.some((candidate) => candidate.subjectId === subjectId)) found++;
    }
    await promised((callback) => gallery.expungeSubject({ subjectId, reason: 'bench' }, callback));
    await new Promise((done) => setTimeout(done, 100));
  }
  const searches = await reported;
  return {
    'enrolled until searchable, ms': percentiles(took),
    'sought at once': sought,
    'found at once': found,
    'searches beside': summary(searches),
    'their share of what eight callers reach': Number((SEARCHES_BESIDE_ENROLMENTS / capacity).toFixed(2)),
  };
}

function enrolRequest(i: number, samples: Sample[]) {
  return {
    data: { ...benchData(), externalId: `load-${Date.now()}-${i}` },
    samples,
    clientRequestId: `load-${Date.now()}-${i}`,
  };
}

function summary({ sent, answeredMs, failures, mated, found, latestSendMs }: LoadReport) {
  return {
    sent,
    answered: answeredMs.length,
    ...failures,
    ...percentiles(answeredMs),
    'mates found': `${found} of ${mated}`,
    'sent late by, ms': Math.round(latestSendMs),
  };
}
