/** Graphs in indexes of a real store. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import { buildIndex, type BuiltIndex, type IndexBuildOptions } from '../../index-builder/build/build-index.ts';
import { verifyIndex } from '../../index-builder/verify/verify-index.ts';
import { pathOfFile } from '../../src/files/memory-file.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import type { IndexedGraph } from '../../src/index-files/graph-files.ts';
import { publish } from '../../src/index-files/index-catalog.ts';
import { loadIndex } from '../../src/index-files/index-loader.ts';
import { readManifest, sealOf } from '../../src/index-files/manifest.ts';
import { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import { GraphThread } from '../../src/matching/graph/graph-thread.ts';
import { savedGraphOf } from '../../src/matching/graph/indexed-graphs.ts';
import { faceCoderOf } from '../../src/matching/kernels/face-directions-file.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { heldVector } from '../../src/matching/graph/vector-graph.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { packTemplates, prepareProbes } from '../../src/matching/search/probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { nearestNow } from '../matching/vector-people.ts';
import { enrolment, reference } from '../store/records.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { CODED, enrolFaces, face, MIN_REFERENCES, SHAPE, SIZING } from './coded-store.ts';
import { contentOf } from './content.ts';

const PEOPLE = 300;
const FINGERS = 80;
const keyDir = temporaryDirectory();
const keys = new Keys({ keyFile: undefined, dataDir: join(keyDir, 'keys') });
const sealerOf = sealersOf(keys, 'index');
let cluster: TestCluster;
let store: Store;
let url: string;
let ids: string[];
let pool: WorkerPool;
let indexDir: string;
let built: BuiltIndex;

function order(directory: string, changes: Partial<IndexBuildOptions> = {}): IndexBuildOptions {
  return {
    store: store.subjects,
    indexDir: directory,
    shape: SHAPE,
    models: packedModels(),
    pack: (templates) => packTemplates(pool, templates),
    faceCodes: { pool, sizing: SIZING },
    graphs: { onProgress: () => undefined, minReferences: MIN_REFERENCES },
    sealer: sealerOf(keys.ring.currentId),
    sealerOf,
    reuse: true,
    batchSize: 100,
    onProgress: () => undefined,
    onWarning: (sentence) => expect.fail(sentence),
    ...changes,
  };
}

async function load(directory = join(indexDir, built.name)) {
  const manifest = await readManifest(directory, sealerOf);
  const gallery = new Gallery(SIZING);
  const options = { onProgress: () => undefined, share: 1, makeCoder: faceCoderOf };
  const seal = sealOf(manifest, sealerOf(manifest.keyId));
  return { gallery, graphs: await loadIndex(directory, manifest, seal, gallery, options) };
}

const probesOf = (person: number) => prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: face(person, 5) }]);

/** Does something with the graphs of a gallery, and says what their threads were asked to do. */
async function withGraphs(
  gallery: Gallery,
  saved: readonly IndexedGraph[],
  work: (graphs: CandidateGraphs) => Promise<void>,
  onError: (error: unknown) => void = (error) => expect.fail(String(error)),
): Promise<string[]> {
  const asked = vi.spyOn(GraphThread.prototype, 'change');
  const graphs = new CandidateGraphs({ current: gallery }, (_, count) => count >= MIN_REFERENCES, onError, {
    pauseMs: 0,
    maxPending: 10,
  });
  try {
    for (const graph of saved) graphs.adopt(gallery, graph.partition, savedGraphOf(graph));
    await graphs.run();
    await work(graphs);
    return asked.mock.calls.map(([{ kind }]) => kind);
  } finally {
    asked.mockRestore();
    await graphs.stop();
  }
}

function figuresOf({ figures }: CandidateGraphs, ...keys: string[]) {
  return keys.map((key) => figures.find(({ partition }) => partition === key));
}

beforeAll(async () => {
  pool = new WorkerPool(2);
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  ids = await enrolFaces(store, 0, PEOPLE);
  const fingers = Array.from({ length: FINGERS }, (_, i) => {
    const template = createPerson(0x1dec5, i % (FINGERS - 5)).fingerRecord(2, 0);
    return { ...enrolment(), references: [reference({ fingerPosition: 2, template })] };
  });
  await store.subjects.enrollMany(fingers);
  indexDir = temporaryDirectory();
  built = await buildIndex(order(indexDir));
});
afterAll(async () => {
  await store.close();
  await cluster.stop();
  await pool.close();
});

describe('an index with graphs', () => {
  it('has one of each partition with enough references, which need not be built again', async () => {
    expect(built.manifest.partitions.map(({ key, graph }) => [key, graph?.name])).toEqual([
      ['face:few:256', undefined],
      ['face:many:256', 'face-many-256.graph.rws'],
      ['finger:2', 'finger-2.graph.rws'],
    ]);
    const { gallery, graphs: saved } = await load();
    const kinds = await withGraphs(gallery, saved, async (graphs) => {
      expect(figuresOf(graphs, 'face:many:256', 'finger:2')).toMatchObject([
        { partition: 'face:many:256', references: 1.2 * PEOPLE, pending: 0, state: 'ready' },
        { partition: 'finger:2', references: FINGERS, pending: 0, state: 'ready' },
      ]);
      for (let person = 0; person < PEOPLE; person += 10) {
        const [probe] = await probesOf(person);
        expect(await nearestNow(graphs, gallery, probe, 20)).toContain(ids[person]);
        expect(await nearestNow(graphs, gallery, probe, 1.2 * PEOPLE)).toHaveLength(PEOPLE);
      }
    });
    expect(kinds).toEqual(['load', 'load']);
  });

  it('follows changes before and after it is read', async () => {
    const { gallery, graphs: saved } = await load();
    const [probe] = await probesOf(10);
    const expunge = (person: number) => gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: ids[person] });
    const enrol = (person: number) => {
      const references = [{ referenceId: `r${person}`, partition: CODED, packed: packFace(face(person, 0)) }];
      const change = {
        kind: 'upsert',
        subjectId: `p${person}`,
        attributes: subjectAttributes({}),
        references,
      } as const;
      gallery.apply(gallery.version + 1, change);
    };
    expunge(10);
    enrol(1000);
    const kinds = await withGraphs(gallery, saved, async (graphs) => {
      const all = () => nearestNow(graphs, gallery, probe, 400);
      const first = await all();
      expect([first.includes(ids[10]), first.includes('p1000')]).toEqual([false, true]);
      // Changes may leave a few vectors that no link leads to.
      expect(first.length).toBeGreaterThanOrEqual(PEOPLE - 5);
      expunge(20);
      enrol(1001);
      const second = await all();
      expect([second.includes(ids[20]), second.includes('p1001')]).toEqual([false, true]);
      expect(second.length).toBeGreaterThanOrEqual(PEOPLE - 5);
      await graphs.run();
      expect(figuresOf(graphs, 'face:many:256')[0]).toMatchObject({
        references: 1.2 * PEOPLE - 2,
        pending: 0,
        removals: 0,
      });
    });
    expect(kinds).toEqual(expect.arrayContaining(['load', 'remove', 'add']));
    expect(kinds).not.toContain('learn');
  });

  it('is identical with or without an earlier index', async () => {
    const other = temporaryDirectory();
    const one = await buildIndex(order(other, { batchSize: 1000 }));
    await publish(other, one.name, packedModels(), sealerOf);
    const again = await buildIndex(order(other));
    expect([one.name, again.name]).toEqual([built.name, built.name]);
    expect(contentOf(join(other, one.name))).toEqual(contentOf(join(indexDir, built.name)));
  });

  it('contains nothing readable without the key', async () => {
    const { graphs } = await load();
    const { file, directions } = await savedGraphOf(graphs[0]).open();
    const { values } = face(30, 0);
    const packed = Buffer.from(packFace(face(30, 0)));
    const label = graphs[0].locations.findIndex(({ segment, index }) => packed.equals(segment.packed(index)));
    const vector = Float32Array.from(heldVector(directions, values, label));
    const held = Buffer.from(vector.buffer).subarray(0, 16);
    // The graph itself has the vector.
    expect(readFileSync(pathOfFile(file)).includes(held)).toBe(true);
    await file.close();
    const directory = join(indexDir, built.name);
    for (const name of readdirSync(directory)) expect(readFileSync(join(directory, name)).includes(held)).toBe(false);
  });

  it('passes verification, and not with the vectors of others', async () => {
    const verify = (directory: string) =>
      verifyIndex({
        directory,
        models: packedModels(),
        sealerOf,
        sizing: SIZING,
        shape: SHAPE,
        pool,
        sample: 50,
        onProgress: () => undefined,
      });
    expect((await verify(join(indexDir, built.name))).graphs).toEqual({ sought: 100, found: 100 });
    const change = Reflect.get(GraphThread.prototype, 'change');
    const wrong = vi.spyOn(GraphThread.prototype, 'change').mockImplementation(function (this: GraphThread, task) {
      const labels = task.kind === 'add' ? task.labels.map((label) => label ^ 1) : undefined;
      return change.call(this, task.kind === 'add' && labels !== undefined ? { ...task, labels } : task);
    });
    const directory = temporaryDirectory();
    const { name } = await buildIndex(order(directory));
    wrong.mockRestore();
    expect((await verify(join(directory, name))).graphs.found).toBeLessThan(100);
  });

  it('is completed after its builder was killed while a graph was built', async () => {
    const directory = temporaryDirectory();
    const script = join(import.meta.dirname, 'killed-build.ts');
    const child = spawn(process.execPath, [script, url, join(keyDir, 'keys'), directory, 'graph'], {
      stdio: 'inherit',
    });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(readdirSync(join(directory, 'draft')).filter((name) => name.includes('graph'))).toEqual([]);
    const whole = await buildIndex(order(directory));
    expect(whole.reused).toBe(whole.references);
    expect(contentOf(join(directory, whole.name))).toEqual(contentOf(join(indexDir, built.name)));
  });
});

describe('a damaged graph', () => {
  it('is not used: it is built again, and the rest of the index is loaded', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(7), fc.boolean(), async (position, bit, isCut) => {
        const copy = join(temporaryDirectory(), 'index');
        cpSync(join(indexDir, built.name), copy, { recursive: true });
        const path = join(copy, 'face-many-256.graph.rws');
        const bytes = readFileSync(path);
        if (!isCut) bytes[position % bytes.length] ^= 1 << bit;
        writeFileSync(path, isCut ? bytes.subarray(0, position % bytes.length) : bytes);
        const { gallery, graphs: saved } = await load(copy);
        const errors: unknown[] = [];
        const kinds = await withGraphs(
          gallery,
          saved,
          async (graphs) => {
            expect(errors).toMatchObject([{ reason: 'INDEX_DAMAGED' }]);
            await graphs.run();
            expect(figuresOf(graphs, 'face:many:256')[0]).toMatchObject({ references: 1.2 * PEOPLE, state: 'ready' });
          },
          (error) => errors.push(error),
        );
        // The graph of the other partition is as good as ever.
        expect(kinds.filter((kind) => kind === 'load')).toHaveLength(1);
        expect(kinds).toContain('learn');
      }),
      { numRuns: 5 },
    );
  });
});

describe('without room in memory', () => {
  it('an index is built without graphs, and the reason is given once', async () => {
    const plain = await buildIndex(order(temporaryDirectory(), { graphs: undefined }));
    const built = async (changes: Partial<IndexBuildOptions['graphs']>) => {
      const warnings: string[] = [];
      const graphs = { onProgress: () => undefined, minReferences: MIN_REFERENCES, ...changes };
      const onWarning = (sentence: string) => void warnings.push(sentence);
      const { name } = await buildIndex(order(temporaryDirectory(), { graphs, onWarning }));
      expect(name).toBe(plain.name);
      return warnings;
    };
    const folder = join(temporaryDirectory(), 'none');
    expect(await built({ memoryFolder: folder })).toEqual([
      `A graph was not built. There is no file system in memory (tmpfs) at ${folder}.`,
    ]);
    // The library does not notice that its file is cut.
    const change = Reflect.get(GraphThread.prototype, 'change');
    const cut = vi.spyOn(GraphThread.prototype, 'change').mockImplementation(async function (this: GraphThread, task) {
      const result = await change.call(this, task);
      if (task.kind === 'save') truncateSync(task.path, 5000);
      return result;
    });
    const sentences = await built({});
    cut.mockRestore();
    expect(sentences).toEqual([
      'A graph was not built. There was not enough room for the graph of face:many:256.',
      'A graph was not built. There was not enough room for the graph of finger:2.',
    ]);
  });
});
