/**
 * Index operations on a real store: build, incremental build, verify, size, start from the index, and search latency
 * during a reload.
 *
 *   npm run bench -- index [--subjects 100000] [--seconds 20] [--from-store] [--json]
 *
 * A subject has two fingers and a face: three references. The templates of a thousand synthetic people are enrolled
 * repeatedly. The store is kept in the temporary folder between runs. --from-store: also start without an index.
 * Searches are open loop at a third of the service's closed-loop rate, in alternating rounds with and without a reload.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import { Presets, SingleBar } from 'cli-progress';
import { buildIndex, type BuiltIndex } from '../../index-builder/build/build-index.ts';
import { prune, publish } from '../../src/index-files/index-catalog.ts';
import { verifyIndex } from '../../index-builder/verify/verify-index.ts';
import {
  IdentificationClient,
  type IdentifyResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { OperationsClient, type ReloadIndexResponse } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { demoPerson, demoSamples } from '../../src/service/demo-gallery.ts';
import { filesOf } from '../../src/index-files/manifest.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { packTemplates } from '../../src/matching/search/probe.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { Keys } from '../../src/security/keys.ts';
import type { NewEnrolment, NewReference } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { SEEDS } from '../harness/seeds.ts';
import { identifyRequest } from '../service/identify-request.ts';
import { closedLoop } from '../calls/closed-loop.ts';
import { generate } from '../calls/generate.ts';
import type { LoadReport } from '../calls/generator.ts';
import { percentiles } from '../harness/percentiles.ts';
import { inWords } from '../harness/words.ts';
import { FACE_MODEL, faceTemplate } from '../people/synthetic-face.ts';
import { endProcess, promised, residentMegabytes, startProcess, type ServiceProcess } from '../service/process.ts';
import { channelOf } from '../service/channel.ts';
import { UNLIMITED } from '../../src/store/records.ts';

const { values: options } = parseArgs({
  options: {
    subjects: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '20' },
    'from-store': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const [subjects, seconds] = [options.subjects, options.seconds].map(Number);
const DISTINCT = 1000;
const PER_TRANSACTION = 500;
const ROUNDS = 3;
const SHARE_OF_CAPACITY = 1 / 3;
/** Callers and seconds of the closed loop. */
const CALLERS = 4;
const CALLING_SECONDS = 5;

const dataDir = join(tmpdir(), `ridgewatch-index-${subjects}`);
const indexDir = join(dataDir, 'index');
const made = join(dataDir, 'made');
if (!existsSync(made)) rmSync(dataDir, { recursive: true, force: true });
mkdirSync(dataDir, { recursive: true });
rmSync(indexDir, { recursive: true, force: true });
const keys = new Keys({ keyFile: undefined, dataDir });
const sealerOf = sealersOf(keys, 'index');
const pool = new WorkerPool(availableParallelism());

const files = await withStore(async (store) => {
  if (!existsSync(made)) await fill(store);
  writeFileSync(made, '');
  const fresh = await timed(() => build(store, false));
  const builtWith = residentMegabytes(process);
  await publish(indexDir, fresh.result.name, packedModels(), sealerOf);
  const again = await timed(() => build(store, true));
  const verified = await timed(() => verify(fresh.result.name));
  const { references, manifest } = fresh.result;
  const bytes = filesOf(manifest).reduce((sum, file) => sum + file.bytes, 0);
  return {
    subjects,
    references,
    megabytes: Math.round(bytes / 1e6),
    'bytes a reference': Math.round(bytes / references),
    'built in, s': fresh.seconds,
    'references/s': Math.round(references / fresh.seconds),
    'built again, with the earlier one, s': again.seconds,
    'verified in, s': verified.seconds,
    'sought, found first, found by the index': [
      verified.result.sought,
      verified.result.firstExact,
      verified.result.foundIndexed,
    ].join(', '),
    'built by a process of, MB': builtWith,
  };
});

const start = await timed(() => startProcess(dataDir, { RIDGEWATCH_DEMO: 'never' }));
const service = start.result;
let fromStore: number | undefined;
try {
  const swap = await measureSwap(service);
  await endProcess(service.child);
  if (options['from-store']) {
    rmSync(join(indexDir, 'current'));
    const slow = await timed(() => startProcess(dataDir, { RIDGEWATCH_DEMO: 'never' }));
    fromStore = slow.seconds;
    await endProcess(slow.result.child);
  }
  const report = {
    index: files,
    'started from the index in, s': start.seconds,
    ...(fromStore !== undefined && { 'started from the store in, s': fromStore }),
    switching: swap,
  };
  if (options.json) console.log(JSON.stringify(report));
  else console.dir(inWords(report), { depth: 4 });
} finally {
  await endProcess(service.child);
  await pool.close();
}

async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({
    databaseUrl: undefined,
    dataDir,
    keys,
    log: () => undefined,
    mode: 'either',
  });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly seconds: number }> {
  const started = performance.now();
  const result = await work();
  return { result, seconds: Number(((performance.now() - started) / 1000).toFixed(1)) };
}

async function fill(store: Store): Promise<void> {
  const people = Array.from({ length: Math.min(DISTINCT, subjects) }, (_, i) => templatesOf(i));
  const bar = new SingleBar({ format: 'store {bar} {value}/{total} {eta_formatted}' }, Presets.shades_classic);
  bar.start(subjects, 0);
  for (let first = 0; first < subjects; first += PER_TRANSACTION) {
    const count = Math.min(PER_TRANSACTION, subjects - first);
    const outcomes = await store.subjects.enrollMany(
      Array.from({ length: count }, (_, i) => enrolment(people[(first + i) % people.length])),
    );
    if (outcomes.some((outcome) => 'failure' in outcome)) throw new Error('a subject was refused');
    bar.update(first + count);
  }
  bar.stop();
}

function templatesOf(index: number): Omit<NewReference, 'referenceId'>[] {
  const person = demoPerson(index);
  const common = { quality: 0, modelId: undefined, dimension: undefined, comparable: true, captureTime: undefined };
  const fingers = ([2, 7] as const).map((fingerPosition) => ({
    ...common,
    modality: 'finger' as const,
    fingerPosition,
    format: 'iso-19794-2-2005',
    storedFormat: 'iso-19794-2-2005' as const,
    minutiaCount: person.fingerImpression(fingerPosition, 0).views[0].minutiae.length,
    template: person.fingerRecord(fingerPosition, 0),
  }));
  const values = packFace(faceTemplate(person.faceEmbedding(0)));
  const face = {
    ...common,
    modality: 'face' as const,
    fingerPosition: 0 as const,
    format: 'face-embedding-float32',
    storedFormat: 'face-values-int8' as const,
    modelId: FACE_MODEL,
    dimension: values.length,
    minutiaCount: 0,
    template: values,
  };
  return [...fingers, face];
}

function enrolment(templates: readonly Omit<NewReference, 'referenceId'>[]): NewEnrolment {
  const subject = {
    subjectId: randomUUID(),
    contributor: 'bench',
    externalId: undefined,
    galleries: ['bench'],
    caveats: [],
    provenance: 'synthetic' as const,
    ...UNLIMITED,
  };
  return {
    subject,
    references: templates.map((template) => ({ ...template, referenceId: randomUUID() })),
    clientRequest: undefined,
  };
}

async function build(store: Store, reuse: boolean): Promise<BuiltIndex> {
  const bar = new SingleBar({ format: 'index {bar} {value}/{total} {eta_formatted}' }, Presets.shades_classic);
  bar.start(3 * subjects, 0);
  try {
    return await buildIndex({
      store: store.subjects,
      indexDir,
      shape: INDEX_SHAPE,
      models: packedModels(),
      pack: (templates) => packTemplates(pool, templates),
      faceCodes: { pool, sizing: gallerySizing(SEGMENT_CAPACITY) },
      sealer: sealerOf(keys.ring.currentId),
      sealerOf,
      reuse,
      onProgress: ({ references }) => bar.update(references),
      onWarning: (sentence) => console.error(sentence),
    });
  } finally {
    bar.stop();
  }
}

function verify(name: string) {
  return verifyIndex({
    directory: join(indexDir, name),
    models: packedModels(),
    sealerOf,
    sizing: gallerySizing(SEGMENT_CAPACITY),
    shape: INDEX_SHAPE,
    pool,
    sample: 30,
    onProgress: () => undefined,
  });
}

/** Searches with and without a concurrent index switch. */
async function measureSwap({ address, child }: ServiceProcess) {
  const identification = new IdentificationClient(address, credentials.createInsecure(), channelOf(address));
  const operations = new OperationsClient(address, credentials.createInsecure(), channelOf(address));
  const probes = Array.from({ length: 20 }, (_, i) => demoSamples(demoPerson(i * 97), 1).slice(0, 2));
  const identify = (samples: Sample[]) =>
    promised<IdentifyResponse>((callback) => identification.identify(identifyRequest(samples), callback));
  const rate = SHARE_OF_CAPACITY * (await closedLoop(CALLERS, CALLING_SECONDS, probes, identify));
  const before = residentMegabytes(child);
  const [calm, switching]: [LoadReport[], LoadReport[]] = [[], []];
  const took: number[] = [];
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, residentMegabytes(child))), 100);
  for (let round = 0; round < ROUNDS; round++) {
    calm.push(await load(address, rate, round));
    // Another subject makes another index. Its build is not measured here.
    const { name } = await withStore(async (store) => {
      await store.subjects.enrollMany([enrolment(templatesOf(DISTINCT + round))]);
      return build(store, true);
    });
    const loaded = load(address, rate, round);
    await new Promise((done) => setTimeout(done, (1000 * seconds) / 4));
    const started = performance.now();
    await publish(indexDir, name, packedModels(), sealerOf);
    await promised<ReloadIndexResponse>((callback) => operations.reloadIndex({}, callback));
    took.push(performance.now() - started);
    switching.push(await loaded);
    await prune(indexDir, 1);
  }
  clearInterval(watch);
  identification.close();
  operations.close();
  return {
    'searches/s': Number(rate.toFixed(1)),
    'without a switch': summary(calm),
    'with a switch': summary(switching),
    'switched within, s': took.map((ms) => Number((ms / 1000).toFixed(1))),
    residentMegabytes: { before, most, after: residentMegabytes(child) },
  };
}

function load(address: string, rate: number, round: number): Promise<LoadReport> {
  return generate({
    address,
    seed: SEEDS.arrivals + round,
    rate,
    seconds,
    deadlineMs: 10_000,
    subjects: DISTINCT,
    allowPartial: false,
  });
}

function summary(reports: readonly LoadReport[]) {
  const failed = reports.flatMap(({ failures }) => Object.entries(failures));
  return {
    sent: reports.reduce((sum, { sent }) => sum + sent, 0),
    failed: failed.length === 0 ? 0 : Object.fromEntries(failed),
    ...percentiles(reports.flatMap(({ answeredMs }) => answeredMs)),
    'mates found': `${sum(reports, 'found')} of ${sum(reports, 'mated')}`,
  };
}

function sum(reports: readonly LoadReport[], what: 'found' | 'mated'): number {
  return reports.reduce((total, report) => total + report[what], 0);
}
