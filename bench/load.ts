/**
 * The service under load, over gRPC, on the embedded database: searches with two fingers arrive at times of their own
 * (open loop, Poisson) from another process.
 *
 *   npm run bench -- load [--subjects 10000] [--seconds 15] [--deadline 1000] [--enrolments 100] [--json]
 *
 * 1. Unloaded: one caller, one search after the other. 2. What eight callers reach who wait for their answers; then rising
 * rates, of which the last is called sustainable that was answered without a refusal or a missed deadline. 3. Three times
 * that rate; and the same of callers who are content with partial answers. 4. Enrolments, one after the other, while 20 searches a second run: how long each takes until it is
 * searchable, which is when the call returns; every fifth is searched for at once.
 *
 * The gallery is made once and kept in the temporary folder; what is enrolled is expunged again.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { createPerson } from '../fixtures/person.ts';
import { GalleryClient, type EnrollResponse } from '../src/api/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient, type IdentifyResponse } from '../src/api/generated/ridgewatch/v1/identification.ts';
import type { Sample } from '../src/api/generated/ridgewatch/v1/sample.ts';
import { SETTINGS } from '../src/configuration.ts';
import { demoPerson, demoSamples } from '../src/demo-gallery.ts';
import type { LoadReport } from './load/generator.ts';
import { closedLoop } from './load/closed-loop.ts';
import { generate } from './load/generate.ts';
import { atPercentile, percentiles } from './load/percentiles.ts';
import { benchData } from './bench-data.ts';
import { identifyRequest } from './identify-request.ts';
import { endProcess, promised, residentMegabytes, startProcess } from './service-process.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '15' },
    deadline: { type: 'string', default: '1000' },
    enrolments: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, seconds, deadlineMs, enrolments] = [
  options.subjects,
  options.seconds,
  options.deadline,
  options.enrolments,
].map(Number);
const UNLOADED_SEARCHES = 100;
const STEPS = [0.5, 0.6, 0.7, 0.8, 0.9];
const SEARCHES_BESIDE_ENROLMENTS = 20;
const ENROL_SEED = 0xe27011;

const dataDir = join(tmpdir(), `ridgewatch-load-${subjects}`);
const made = join(dataDir, 'made');
if (!existsSync(made)) rmSync(dataDir, { recursive: true, force: true });
mkdirSync(dataDir, { recursive: true });
const { child, address } = await startProcess(dataDir, {
  RIDGEWATCH_DEMO: 'always',
  RIDGEWATCH_DEMO_SUBJECTS: String(subjects),
});
writeFileSync(made, '');
let ended = false;
child.once('exit', () => (ended = true));
const client = new IdentificationClient(address, credentials.createInsecure());
const gallery = new GalleryClient(address, credentials.createInsecure());
try {
  await oneByOne(20);
  const unloaded = await oneByOne(UNLOADED_SEARCHES);
  const probes = Array.from({ length: 40 }, (_, i) => samplesOf(i));
  const capacity = await closedLoop(8, seconds, probes, identify);
  const before = residentMegabytes(child);
  const steps = [];
  let sustainable = capacity * STEPS[0];
  for (const share of STEPS) {
    const report = await load(capacity * share, seconds);
    steps.push({ 'searches/s': Number((capacity * share).toFixed(1)), ...summary(report) });
    if (Object.keys(report.failures).length > 0) break;
    sustainable = capacity * share;
  }
  const overload = await load(3 * sustainable, seconds);
  const partial = await load(3 * sustainable, seconds, true);
  const after = await oneByOne(UNLOADED_SEARCHES);
  const residentAfter = residentMegabytes(child);
  const enrolment = await enrolWhileSearching(capacity);
  const report = {
    machine: { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version },
    subjects,
    deadlineMs,
    unloaded: percentiles(unloaded),
    'eight callers, searches/s': Number(capacity.toFixed(1)),
    steps,
    sustainable: Number(sustainable.toFixed(1)),
    overload: {
      'searches/s': Number((3 * sustainable).toFixed(1)),
      ...summary(overload),
      'refusals that say when to try again': overload.retryAfterMs.filter(Number.isFinite).length,
      'try again after, ms': percentiles(overload.retryAfterMs),
      'refused within, ms': percentiles(overload.refusedMs),
      'bound of the queue, ms': Math.round(queueBoundMs(capacity)),
      'bound of p99, ms': Math.round(2 * atPercentile(unloaded, 99) + queueBoundMs(capacity)),
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

function print({ steps, ...report }: { readonly steps: readonly object[] } & object): void {
  console.dir(report, { depth: 4 });
  console.log('Open loop, rising:');
  console.table(steps);
}

/** Two fingers of enrolled people and of strangers, by turns. */
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

/** A search waits at most as long as the longest queue takes, and nobody is let in who would wait beyond the deadline. */
function queueBoundMs(capacity: number): number {
  const longest = Number(SETTINGS.RIDGEWATCH_MAX_QUEUED_SEARCHES.fallback);
  return Math.min(deadlineMs, (longest / capacity) * 1000);
}

function load(rate: number, duration: number, allowPartial = false): Promise<LoadReport> {
  return generate({ address, seed: Math.round(rate), rate, seconds: duration, deadlineMs, subjects, allowPartial });
}

/** How long enrolments take beside searches, and whether who was enrolled is found at once. */
async function enrolWhileSearching(capacity: number) {
  const people = Array.from({ length: enrolments }, (_, i) => demoSamples(createPerson(ENROL_SEED, i), 0).slice(0, 2));
  // Longer than the enrolments take, and stopped with them.
  const reported = generate({
    address,
    seed: 1,
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
