/** Codes of faces in indexes of a real store. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIndex, type BuiltIndex, type IndexBuildOptions } from '../../index-builder/build/build-index.ts';
import { verifyIndex } from '../../index-builder/verify/verify-index.ts';
import { Failure } from '../../src/failure.ts';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { ChangeFollower } from '../../src/gallery/change-follower.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import { publish } from '../../src/index-files/index-catalog.ts';
import { loadIndex } from '../../src/index-files/index-loader.ts';
import { IndexSwitcher } from '../../src/index-files/index-switcher.ts';
import { readManifest, sealOf, writeManifest, type CodeFacts } from '../../src/index-files/manifest.ts';
import { FaceCoder } from '../../src/matching/kernels/face-codes.ts';
import { faceCoderOf } from '../../src/matching/kernels/face-directions-file.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { FaceCoding } from '../../src/matching/search/face-coding.ts';
import { identify } from '../../src/matching/search/identification.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { packTemplates, prepareProbes } from '../../src/matching/search/probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { CODED, enrolFaces, face, FEW, MIN_FACES, PEOPLE, SHAPE, SIZING } from './coded-store.ts';
import { contentOf } from './content.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

const keyDir = temporaryDirectory();
const keys = new Keys({ keyFile: undefined, dataDir: join(keyDir, 'keys') });
const sealerOf = sealersOf(keys, 'index');
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;
const fail = (error: unknown) => {
  throw error;
};
let cluster: TestCluster;
let store: Store;
let url: string;
let pools: readonly WorkerPool[];
let indexDir: string;
let built: BuiltIndex;
let codes: CodeFacts;

function order(directory: string, changes: Partial<IndexBuildOptions> = {}, pool = pools[0]): IndexBuildOptions {
  return {
    store: store.subjects,
    indexDir: directory,
    shape: SHAPE,
    models: packedModels(),
    pack: (templates) => packTemplates(pool, templates),
    faceCodes: { pool, sizing: SIZING, minFaces: MIN_FACES },
    sealer: sealerOf(keys.ring.currentId),
    sealerOf,
    reuse: true,
    batchSize: 300,
    onProgress: () => undefined,
    onWarning: (sentence) => expect.fail(sentence),
    ...changes,
  };
}

async function load(directory: string): Promise<Gallery> {
  const manifest = await readManifest(directory, sealerOf);
  const gallery = new Gallery(SIZING);
  const options = { onProgress: () => undefined, share: 1, makeCoder: faceCoderOf };
  await loadIndex(directory, manifest, sealOf(manifest, sealerOf(manifest.keyId)), gallery, options);
  return gallery;
}

function coderOf(gallery: Gallery): FaceCoder | undefined {
  const coder = gallery.partition(CODED)?.ranges()[0]?.coder;
  return coder instanceof FaceCoder ? coder : undefined;
}

/** All faces of the model in a gallery, in order, have the codes of its coder. */
function expectOwnCodes(gallery: Gallery): void {
  const coder = coderOf(gallery);
  for (const { segment, end } of gallery.partition(CODED)?.ranges() ?? [])
    for (let index = 0; index < end; index++)
      if (segment.isLive(index)) expect(segment.codesOf(index)).toEqual(coder?.encode(segment.packed(index)));
}

beforeAll(async () => {
  pools = [new WorkerPool(2), new WorkerPool(1)];
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  await enrolFaces(store, 0, PEOPLE);
  indexDir = temporaryDirectory();
  built = await buildIndex(order(indexDir));
  const found = built.manifest.partitions.find(({ key }) => key === 'face:many:256')?.codes;
  if (found === undefined) throw new Error('the index has no codes');
  codes = found;
});
afterAll(async () => {
  await store.close();
  await cluster.stop();
  await Promise.all(pools.map((pool) => pool.close()));
});

describe('an index of many faces', () => {
  it('has their codes, by the directions that a service learns from the same subjects', async () => {
    const gallery = await load(join(indexDir, built.name));
    const partition = gallery.partition(CODED);
    expect([partition?.isCoded, partition?.liveCount, partition?.segmentCount]).toEqual([true, 1.2 * PEOPLE, 4]);
    expectOwnCodes(gallery);
    const served = new ActiveGallery(SIZING);
    const pack: IndexBuildOptions['pack'] = (templates) => packTemplates(pools[0], templates);
    await new ChangeFollower(served, store.subjects, pack).start(() => undefined);
    await new FaceCoding(served, pools[0], fail, MIN_FACES).run();
    expect(coderOf(gallery)?.hash).toBe(codes.coderHash);
    expect(coderOf(served.current)?.hash).toBe(codes.coderHash);
  });

  it('has none of a model with few faces', async () => {
    const gallery = await load(join(indexDir, built.name));
    expect(built.manifest.partitions.map(({ key, codes: own }) => [key, own !== undefined])).toEqual([
      ['face:few:256', false],
      ['face:many:256', true],
    ]);
    expect(gallery.partition(FEW)?.isCoded).toBe(false);
    const directory = temporaryDirectory();
    const faceCodes = { pool: pools[0], sizing: SIZING, minFaces: 1.2 * PEOPLE + 1 };
    const { name, manifest } = await buildIndex(order(directory, { faceCodes }));
    expect(manifest.partitions.some(({ codes: own }) => own !== undefined)).toBe(false);
    expect((await load(join(directory, name))).partition(CODED)?.isCoded).toBe(false);
  });

  it('is searched by its codes from the first search on, and later faces get codes of the same directions', async () => {
    const crowd = await openStore({
      databaseUrl: await cluster.createDatabase(),
      dataDir: '',
      keys,
      log: () => undefined,
    });
    // Fewer would all be ranked by whole embeddings.
    const subjects = await enrolFaces(crowd, 0, 2400);
    const directory = temporaryDirectory();
    const { name, manifest } = await buildIndex(order(directory, { store: crowd.subjects }));
    await publish(directory, name, packedModels(), sealerOf);
    const served = new ActiveGallery(SIZING);
    const pack: IndexBuildOptions['pack'] = (templates) => packTemplates(pools[0], templates);
    const follower = new ChangeFollower(served, crowd.subjects, pack);
    const switcher = new IndexSwitcher(
      {
        indexDir: directory,
        models: packedModels(),
        sealerOf,
        stateAt: (sequence) => crowd.subjects.stateAt(sequence),
        makeCoder: faceCoderOf,
      },
      served,
      follower,
    );
    await switcher.reload({ onProgress: () => undefined, share: 1 });
    const search = async (person: number) => {
      const probes = await prepareProbes(pools[0], [{ sampleIndex: 0, viewIndex: 0, template: face(person, 5) }]);
      const threshold = { maxLog10Fmr: 0 };
      const request = { probes, scope: EVERYTHING, maxCandidates: 3, threshold, standardFpir: 0.01 };
      const source = new IndexedScan(pools[0]);
      return identify(served.current, () => source, pools[0], request, new AbortController().signal);
    };
    const first = await search(7);
    const hash = manifest.partitions.find(({ key }) => key === 'face:many:256')?.codes?.coderHash;
    expect([first.mode, first.faceDirections]).toEqual(['indexed', hash]);
    expect(first.candidates[0]?.subject.subjectId).toBe(subjects[7]);
    const coder = coderOf(served.current);
    // Nothing is left to do.
    await new FaceCoding(served, pools[0], fail, MIN_FACES).run();
    expect(coderOf(served.current)).toBe(coder);
    const [later] = await enrolFaces(crowd, 3000, 1);
    await follower.advanceTo(await crowd.subjects.headSequence());
    expect((await search(3000)).candidates[0]?.subject.subjectId).toBe(later);
    await crowd.subjects.expunge(subjects[7], 'order', () => 'receipt');
    await follower.advanceTo(await crowd.subjects.headSequence());
    expect((await search(7)).candidates.some(({ subject }) => subject.subjectId === subjects[7])).toBe(false);
    expectOwnCodes(served.current);
    await crowd.close();
  });

  it('is identical for any number of threads and batch size, with or without an earlier index', async () => {
    const expected = contentOf(join(indexDir, built.name));
    const other = temporaryDirectory();
    const one = await buildIndex(order(other, { batchSize: 1000 }, pools[1]));
    await publish(other, one.name, packedModels(), sealerOf);
    const again = await buildIndex(order(other));
    expect([again.reused, again.name, one.name]).toEqual([again.references, built.name, built.name]);
    expect(contentOf(join(other, one.name))).toEqual(expected);
  });

  it('passes verification, and not with the codes of other faces', async () => {
    const verify = (directory: string) =>
      verifyIndex({
        directory,
        models: packedModels(),
        sealerOf,
        sizing: SIZING,
        shape: SHAPE,
        pool: pools[0],
        sample: 40,
        onProgress: () => undefined,
      });
    expect(await verify(join(indexDir, built.name))).toMatchObject({ sought: 40, firstExact: 40, foundIndexed: 40 });
    const encode = pools[1].encodeFaces.bind(pools[1]);
    const wrong = vi.spyOn(pools[1], 'encodeFaces').mockImplementation(async (...task) => {
      const { codes: made } = await encode(...task);
      return { codes: made.reverse() };
    });
    const directory = temporaryDirectory();
    const { name } = await buildIndex(order(directory, {}, pools[1]));
    wrong.mockRestore();
    await expect(verify(join(directory, name))).rejects.toThrow(reason('INDEX_DAMAGED'));
  });

  it('is completed after an interruption while its faces were coded, wherever that was', async () => {
    const expected = contentOf(join(indexDir, built.name));
    for (const [tasks, cut] of [
      [0, 0.99],
      [1, 0.3],
      [2, 0.7],
    ]) {
      const directory = temporaryDirectory();
      const encode = pools[1].encodeFaces.bind(pools[1]);
      let calls = 0;
      const dying = vi.spyOn(pools[1], 'encodeFaces').mockImplementation((...task) => {
        return calls++ === tasks ? Promise.reject(new Error('killed')) : encode(...task);
      });
      await expect(buildIndex(order(directory, {}, pools[1]))).rejects.toThrow('killed');
      dying.mockRestore();
      const written = readdirSync(join(directory, 'draft')).filter((name) => /codes|coder/.test(name));
      expect(written).toHaveLength(tasks + 2);
      // A kill leaves files that end anywhere.
      for (const name of written) {
        const torn = join(directory, 'draft', name);
        writeFileSync(torn, readFileSync(torn).subarray(0, Math.floor(cut * statSync(torn).size)));
      }
      const whole = await buildIndex(order(directory));
      expect(whole.reused).toBe(whole.references);
      expect(contentOf(join(directory, whole.name))).toEqual(expected);
      expect(readdirSync(directory)).toEqual([whole.name]);
    }
  });

  it('is completed after its builder was killed', async () => {
    const directory = temporaryDirectory();
    const script = join(import.meta.dirname, 'killed-build.ts');
    const child = spawn(process.execPath, [script, url, join(keyDir, 'keys'), directory, '2'], { stdio: 'inherit' });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    expect(readdirSync(join(directory, 'draft'))).toContain('face-many-256.0001.codes.rws');
    const whole = await buildIndex(order(directory));
    expect(whole.reused).toBe(whole.references);
    expect(contentOf(join(directory, whole.name))).toEqual(contentOf(join(indexDir, built.name)));
  });
});

describe('damaged codes', () => {
  let copy: string;
  const fresh = () => {
    copy = join(temporaryDirectory(), 'index');
    cpSync(join(indexDir, built.name), copy, { recursive: true });
  };
  const named = () => [codes.coderFile, ...codes.files].map(({ name }) => name);
  const outcome = () =>
    load(copy).then(
      () => 'loaded',
      (error: unknown) => (error instanceof Failure ? error.reason : String(error)),
    );

  it('are rejected for any flipped bit, and when a file is cut anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.nat(), fc.nat(7), fc.boolean(), async (file, position, bit, isCut) => {
        fresh();
        const path = join(copy, named()[file]);
        const bytes = readFileSync(path);
        if (!isCut) bytes[position % bytes.length] ^= 1 << bit;
        writeFileSync(path, isCut ? bytes.subarray(0, position % bytes.length) : bytes);
        expect(await outcome()).toBe('INDEX_DAMAGED');
      }),
      { numRuns: 60 },
    );
  });

  it('are rejected when files are exchanged', async () => {
    fresh();
    const [, first, second] = named().map((name) => join(copy, name));
    renameSync(first, `${first}.x`);
    renameSync(second, first);
    renameSync(`${first}.x`, second);
    expect(await outcome()).toBe('INDEX_DAMAGED');
  });

  it('are rejected when the manifest names other directions, or codes of another size', async () => {
    const changed = async (change: Partial<CodeFacts>) => {
      fresh();
      const { stamp, ...content } = built.manifest;
      const partitions = content.partitions.map((partition) =>
        partition.codes === undefined ? partition : { ...partition, codes: { ...partition.codes, ...change } },
      );
      const written = await writeManifest(copy, { ...content, partitions }, sealerOf(content.keyId));
      expect(written.stamp === stamp).toBe(Object.keys(change).length === 0);
      return outcome();
    };
    expect(await changed({})).toBe('loaded');
    expect(await changed({ coderHash: '0123456789abcdef' })).toBe('INDEX_DAMAGED');
    expect(await changed({ codeBytes: 16 })).toBe('INDEX_OUTDATED');
  });

  it('are not readable without the key', async () => {
    const packed = packFace(face(8, 0));
    const code = coderOf(await load(join(indexDir, built.name)))?.encode(packed) ?? new Uint8Array();
    for (const name of named())
      expect(readFileSync(join(indexDir, built.name, name)).includes(Buffer.from(code))).toBe(false);
  });
});
