/** A whole service that takes over the graphs of its index. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildIndex } from '../../index-builder/build/build-index.ts';
import { publish } from '../../src/index-files/index-catalog.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { packTemplates } from '../../src/matching/search/probe.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

/** More than searches take along without a graph. */
const PEOPLE = 300;

let cluster: TestCluster;
let url: string;
let running: RunningService;
beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url, { RIDGEWATCH_DEMO: 'always', RIDGEWATCH_DEMO_SUBJECTS: String(PEOPLE) });
}, 60_000);
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

async function publishWithGraphs(): Promise<string> {
  const dataDir = dataDirectoryOf(url);
  const keys = new Keys({ keyFile: undefined, dataDir });
  const store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  const pool = new WorkerPool(1);
  const sealerOf = sealersOf(keys, 'index');
  const indexDir = join(dataDir, 'index');
  try {
    const { name } = await buildIndex({
      store: store.subjects,
      indexDir,
      shape: INDEX_SHAPE,
      models: packedModels(),
      pack: (templates) => packTemplates(pool, templates),
      faceCodes: { pool, sizing: gallerySizing(SEGMENT_CAPACITY) },
      graphs: { minReferences: PEOPLE, onProgress: () => undefined },
      sealer: sealerOf(keys.ring.currentId),
      sealerOf,
      reuse: true,
      onProgress: () => undefined,
      onWarning: (sentence) => expect.fail(sentence),
    });
    await publish(indexDir, name, packedModels(), sealerOf);
    return name;
  } finally {
    await pool.close();
    await store.close();
  }
}

it('a service takes over the graphs of its index, at a switch and after a start', async () => {
  const { status, identify, expunge } = callsOf(() => running);
  const of = async (name: string) => {
    const text = await metricsOf(running);
    return text.split('\n').find((line) => line.startsWith(`ridgewatch_graph_${name}{partition="finger:2"} `));
  };
  const has = (references: number) =>
    expect
      .poll(async () => [await of('ready'), await of('references')], { timeout: 60_000 })
      .toEqual([
        'ridgewatch_graph_ready{partition="finger:2"} 1',
        `ridgewatch_graph_references{partition="finger:2"} ${references}`,
      ]);
  expect(await of('ready')).toBeUndefined();
  const indexName = await publishWithGraphs();
  await has(PEOPLE);
  const { subject } = await enrolPerson(running, 1);
  await has(PEOPLE + 1);
  await running.stop();
  running = await runService(url);
  expect(await status()).toMatchObject({ indexName });
  await has(PEOPLE + 1);
  expect((await identify(samplesOf(1, 1))).candidates[0]?.subjectId).toBe(subject?.subjectId);
  await expunge(subject?.subjectId ?? '');
  await has(PEOPLE);
}, 150_000);
