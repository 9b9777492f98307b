/** Indexes of a real store: built, loaded, damaged and rejected. */
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPerson } from '../../fixtures/person.ts';
import { buildIndex, type IndexBuildOptions, type BuiltIndex } from '../../index-builder/build/build-index.ts';
import { differences, prune, publish } from '../../src/index-files/index-catalog.ts';
import { verifyIndex } from '../../index-builder/verify/verify-index.ts';
import { Failure } from '../../src/failure.ts';
import type { PartitionName } from '../../src/gallery/catalogue.ts';
import { Gallery } from '../../src/gallery/gallery.ts';
import { loadIndex } from '../../src/index-files/index-loader.ts';
import { filesOf, readManifest, requireModels, sealOf } from '../../src/index-files/manifest.ts';
import { publishedIndex } from '../../src/index-files/index-catalog.ts';
import { listIndexes } from '../../src/index-files/index-catalog.ts';
import { ChangeFollower } from '../../src/gallery/change-follower.ts';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { gallerySizing, INDEX_SHAPE } from '../../src/matching/workers/gallery-sizing.ts';
import { faceCoderOf } from '../../src/matching/kernels/face-directions-file.ts';
import { identify } from '../../src/matching/search/identification.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { packTemplates, prepareProbes } from '../../src/matching/search/probe.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment, reference } from '../store/records.ts';
import { contentOf } from './content.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

/** Small enough for several segments, and for blocks of few people. */
const SHAPE = { ...INDEX_SHAPE, capacity: 16, blockSize: 5 };
const SIZING = gallerySizing(16);
const PEOPLE = 40;

const keys = temporaryKeys();
let cluster: TestCluster;
let store: Store;
let pools: readonly WorkerPool[];
const sealerOf = sealersOf(keys, 'index');
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

async function enrolPeople(first: number, count: number): Promise<void> {
  const made = Array.from({ length: count }, (_, i) => {
    const person = createPerson(0x1dec5, first + i);
    const finger = (fingerPosition: 2 | 7) =>
      reference({ fingerPosition, template: person.fingerRecord(fingerPosition, 0) });
    const face = reference({
      modality: 'face',
      fingerPosition: 0,
      storedFormat: 'face-values-int8',
      modelId: 'synthetic-512',
      dimension: 512,
      template: Uint8Array.from({ length: 512 }, (_, k) => (k * (first + i + 1)) % 255),
    });
    const expireTime = i % 9 === 0 ? new Date(Date.now() + 1e9) : undefined;
    return {
      ...enrolment({ galleries: i % 3 === 0 ? ['b', 'a'] : ['a'], caveats: i % 2 === 0 ? ['X'] : [], expireTime }),
      // One in five has a single finger, one in seven no searchable one.
      references:
        i % 7 === 3 ? [reference({ comparable: false })] : i % 5 === 0 ? [finger(7)] : [finger(2), finger(7), face],
    };
  });
  const outcomes = await store.subjects.enrollMany(made);
  expect(outcomes.filter((outcome) => 'failure' in outcome)).toEqual([]);
}

function order(indexDir: string, changes: Partial<IndexBuildOptions> = {}): IndexBuildOptions {
  return {
    store: store.subjects,
    indexDir,
    shape: SHAPE,
    models: packedModels(),
    pack: (templates) => packTemplates(pools[0], templates),
    faceCodes: { pool: pools[0], sizing: SIZING },
    sealer: sealerOf(keys.ring.currentId),
    sealerOf,
    reuse: true,
    batchSize: 6,
    onProgress: () => undefined,
    onWarning: (sentence) => expect.fail(sentence),
    ...changes,
  };
}

async function load(directory: string): Promise<Gallery> {
  const manifest = await readManifest(directory, sealerOf);
  const gallery = new Gallery(SIZING);
  await loadIndex(directory, manifest, sealOf(manifest, sealerOf(manifest.keyId)), gallery, {
    onProgress: () => undefined,
    share: 1,
    makeCoder: faceCoderOf,
  });
  return gallery;
}

/** Everything in a gallery that a search can see. */
function described(gallery: Gallery, ids: readonly string[]) {
  return ids.map((id) => {
    const subject = gallery.subject(id);
    return [
      id,
      subject?.attributes,
      subject?.references.map(({ referenceId, partition, segment, index }) => [
        referenceId,
        partition,
        segment.isLive(index),
        segment.ownerOf(index) === subject.ordinal,
      ]),
    ];
  });
}

let indexDir: string;
let built: BuiltIndex;

beforeAll(async () => {
  pools = [new WorkerPool(2), new WorkerPool(1)];
  cluster = await startTestCluster();
});
beforeEach(async () => {
  store = await openStore({ databaseUrl: await cluster.createDatabase(), dataDir: '', keys, log: () => undefined });
  await enrolPeople(0, PEOPLE);
  indexDir = temporaryDirectory();
  built = await buildIndex(order(indexDir));
});
afterEach(() => store.close());
afterAll(async () => {
  await cluster.stop();
  await Promise.all(pools.map((pool) => pool.close()));
});

describe('an index', () => {
  it('has the content of the store', async () => {
    const served = new ActiveGallery(SIZING);
    await new ChangeFollower(served, store.subjects, (templates) => packTemplates(pools[0], templates)).start(
      () => undefined,
    );
    const loaded = await load(join(indexDir, built.name));
    const ids: string[] = [];
    await store.subjects.snapshot(
      (subjects) => Promise.resolve(void ids.push(...subjects.map(({ subject }) => subject.subjectId))),
      50,
    );
    expect(ids).toHaveLength(PEOPLE);
    expect(described(loaded, ids)).toEqual(described(served.current, ids));
    expect(loaded.version).toBe(served.current.version);
    expect(loaded.gallerySizes).toEqual(served.current.gallerySizes);
    expect(loaded.notComparableCount).toBe(served.current.notComparableCount);
    const scores = async (gallery: Gallery) => {
      const record = createPerson(0x1dec5, 1).fingerImpression(7, 1);
      const template = toFingerTemplate(record, record.views[0]);
      const probes = await prepareProbes(pools[0], [{ sampleIndex: 0, viewIndex: 0, template }]);
      const request = {
        probes,
        scope: EVERYTHING,
        maxCandidates: 10,
        threshold: { maxLog10Fmr: 0 },
        standardFpir: 0.01,
      };
      const source = new ExactScan(pools[0]);
      const { candidates } = await identify(gallery, () => source, pools[0], request, new AbortController().signal);
      return candidates.map(({ subject, log10Fmr }) => [subject.subjectId, log10Fmr]);
    };
    expect(await scores(loaded)).toEqual(await scores(served.current));
    expect((await scores(loaded)).length).toBeGreaterThan(0);
  });

  it('contains nothing readable without the key', async () => {
    const [{ subject, references }] = await store.subjects.list({
      gallery: undefined,
      contributor: undefined,
      afterSubjectId: undefined,
      limit: 1,
    });
    const packed = (await packTemplates(pools[0], [toFingerTemplate(...firstView())]))[0] ?? new Uint8Array();
    for (const name of readdirSync(join(indexDir, built.name))) {
      const bytes = readFileSync(join(indexDir, built.name, name));
      for (const secret of [subject.subjectId, ...references.map(({ referenceId }) => referenceId)])
        expect(bytes.includes(secret)).toBe(false);
      expect(bytes.includes(Buffer.from(packed.subarray(16, 48)))).toBe(false);
    }
    function firstView() {
      const record = createPerson(0x1dec5, 1).fingerImpression(7, 0);
      return [record, record.views[0]] as const;
    }
  });

  it('is identical for any number of threads and batch size, with or without an earlier index', async () => {
    const [threads, batches] = [temporaryDirectory(), temporaryDirectory()];
    const one = await buildIndex(order(threads, { pack: (templates) => packTemplates(pools[1], templates) }));
    const other = await buildIndex(order(batches, { batchSize: 1000 }));
    await publish(indexDir, built.name, packedModels(), sealerOf);
    const again = await buildIndex(order(indexDir));
    expect(again.reused).toBe(again.references);
    const expected = contentOf(join(indexDir, built.name));
    expect([one.name, other.name, again.name]).toEqual([built.name, built.name, built.name]);
    expect(contentOf(join(threads, one.name))).toEqual(expected);
    expect(contentOf(join(batches, other.name))).toEqual(expected);
    expect(await listIndexes(indexDir)).toEqual([built.name]);
  });

  it('continues an interrupted build, wherever it stopped', async () => {
    const expected = contentOf(join(indexDir, built.name));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.nat(1_000_000), async (batches, cut) => {
        const directory = temporaryDirectory();
        let [calls, packed] = [0, 0];
        const dies = order(directory, {
          pack: (templates) => {
            if (calls++ === batches) throw new Error('killed');
            return packTemplates(pools[0], templates);
          },
        });
        await expect(buildIndex(dies)).rejects.toThrow('killed');
        // A kill leaves files that end anywhere.
        const files = readdirSync(join(directory, 'draft')).filter((name) => name.endsWith('.rws'));
        const torn = join(directory, 'draft', files[cut % files.length]);
        writeFileSync(torn, readFileSync(torn).subarray(0, cut % (statSync(torn).size + 1)));
        const counting = order(directory, {
          pack: (templates) => {
            packed += templates.length;
            return packTemplates(pools[0], templates);
          },
        });
        const whole = await buildIndex(counting);
        expect(contentOf(join(directory, whole.name))).toEqual(expected);
        expect(whole.reused + packed).toBe(whole.references);
        expect(readdirSync(directory)).toEqual([whole.name]);
        return true;
      }),
      { numRuns: 15 },
    );
  });

  it('passes verification: no enrolled subject is missed', async () => {
    const seen = new Set<string>();
    const report = await verifyIndex({
      directory: join(indexDir, built.name),
      models: packedModels(),
      sealerOf,
      sizing: SIZING,
      shape: SHAPE,
      pool: pools[0],
      sample: Infinity,
      onProgress: (what) => seen.add(what),
    });
    expect(report).toMatchObject({ sought: built.references, missRate: 0 });
    expect(report.firstExact).toBe(report.foundIndexed);
    expect(report.firstExact).toBe(report.sought);
    expect(report.manifest.subjects).toBe(PEOPLE);
    expect(report.missRateLimits[1]).toBeGreaterThan(0);
    expect([...seen]).toEqual(['files', 'references', 'searches']);
  });
});

describe('a damaged index', () => {
  let copy: string;
  const at = (name: string) => join(copy, name);
  const fresh = () => {
    copy = join(temporaryDirectory(), 'index');
    cpSync(join(indexDir, built.name), copy, { recursive: true });
  };
  const DAMAGED = /^INDEX_(DAMAGED|FILE_MISSING|FORMAT_UNKNOWN)$|^KEY_MISSING$/;

  async function expectRefused(): Promise<void> {
    const outcome = await load(copy).then(
      () => 'loaded',
      (error: unknown) => (error instanceof Failure ? error.reason : String(error)),
    );
    expect(outcome).toMatch(DAMAGED);
  }

  it('is rejected for any flipped bit', async () => {
    const names = readdirSync(join(indexDir, built.name));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), fc.nat(), fc.nat(7), async (name, position, bit) => {
        fresh();
        const bytes = readFileSync(at(name));
        bytes[position % bytes.length] ^= 1 << bit;
        writeFileSync(at(name), bytes);
        await expectRefused();
      }),
      { numRuns: 150 },
    );
  });

  it('is rejected for a file truncated anywhere', async () => {
    const names = readdirSync(join(indexDir, built.name));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), fc.nat(), async (name, length) => {
        fresh();
        const bytes = readFileSync(at(name));
        writeFileSync(at(name), bytes.subarray(0, length % bytes.length));
        // Bytes after the manifest's last brace do not matter.
        if (name !== 'manifest.json' || length % bytes.length < bytes.length - 1) await expectRefused();
      }),
      { numRuns: 60 },
    );
  });

  it('is rejected when a file is missing, longer, or exchanged', async () => {
    const manifest = await readManifest(join(indexDir, built.name), sealerOf);
    for (const { name } of filesOf(manifest)) {
      fresh();
      rmSync(at(name));
      await expectRefused();
      fresh();
      writeFileSync(at(name), Buffer.concat([readFileSync(at(name)), Buffer.alloc(1)]));
      await expectRefused();
    }
    const [, first, second] = filesOf(manifest);
    fresh();
    renameSync(at(first.name), at('x'));
    renameSync(at(second.name), at(first.name));
    renameSync(at('x'), at(second.name));
    await expectRefused();
  });

  it('is rejected with a manifest written without the key', async () => {
    fresh();
    const manifest = JSON.parse(readFileSync(at('manifest.json'), 'utf8')) as { subjects: number };
    writeFileSync(at('manifest.json'), JSON.stringify({ ...manifest, subjects: manifest.subjects - 1 }));
    await expect(load(copy)).rejects.toThrow(reason('INDEX_DAMAGED'));
    writeFileSync(at('manifest.json'), JSON.stringify({ ...manifest, format: 99 }));
    await expect(load(copy)).rejects.toThrow(reason('INDEX_FORMAT_UNKNOWN'));
  });

  it('is rejected when made for other models, and the error states the remedy', async () => {
    const manifest = await readManifest(join(indexDir, built.name), sealerOf);
    expect(() => requireModels(manifest, packedModels())).not.toThrow();
    const other = { ...packedModels(), kernels: 'other' };
    expect(() => requireModels(manifest, other)).toThrow(reason('INDEX_OUTDATED'));
    expect(() => requireModels(manifest, other)).toThrow(/ridgewatch index build/);
    await expect(publish(indexDir, built.name, other, sealerOf)).rejects.toThrow(reason('INDEX_OUTDATED'));
    const foreign = await buildIndex(order(indexDir, { models: other, onWarning: () => undefined }));
    expect(foreign.reused).toBe(0);
    rmSync(join(indexDir, foreign.name), { recursive: true });
  });

  it('is rejected when other bytes follow its records, whatever the models are', async () => {
    const directory = temporaryDirectory();
    // As before there were codes: what follows then seems to belong to the records.
    const shape = { ...SHAPE, vectorBytesOf: ({ modality }: PartitionName) => (modality === 'finger' ? 256 : 0) };
    const { name } = await buildIndex(order(directory, { shape }));
    await expect(load(join(directory, name))).rejects.toThrow(reason('INDEX_OUTDATED'));
    await expect(load(join(directory, name))).rejects.toThrow(
      /has 256 bytes .* finger:2, and this program 320\. .* index build/,
    );
  });
});

describe('indexes in a directory', () => {
  it('are compared, published and pruned, except the published one', async () => {
    const directory = temporaryDirectory();
    expect(await publishedIndex(directory)).toBeUndefined();
    const names: string[] = [];
    for (const person of [1000, 1001, 1002]) {
      await enrolPeople(person, 1);
      names.push((await buildIndex(order(directory))).name);
    }
    expect(await listIndexes(directory)).toEqual(names);
    const [first, second] = await Promise.all(
      names.slice(0, 2).map((name) => readManifest(join(directory, name), sealerOf)),
    );
    expect(differences(first, first)).toEqual([]);
    expect(differences(first, second)).toContainEqual({ what: 'subjects', first: PEOPLE + 1, second: PEOPLE + 2 });
    await publish(directory, names[0], packedModels(), sealerOf);
    expect(await prune(directory, 2)).toEqual([names[1]]);
    expect(await listIndexes(directory)).toEqual([names[0], names[2]]);
    expect(await prune(directory, 1)).toEqual([names[2]]);
    expect(await publishedIndex(directory)).toBe(names[0]);
    mkdirSync(join(directory, 'index-000000000000-000000000000'));
    await expect(publish(directory, 'index-000000000000-000000000000', packedModels(), sealerOf)).rejects.toThrow(
      reason('INDEX_FILE_MISSING'),
    );
    expect(await publishedIndex(directory)).toBe(names[0]);
    writeFileSync(join(directory, 'current'), 'nonsense');
    await expect(publishedIndex(directory)).rejects.toThrow(reason('INDEX_DAMAGED'));
  });
});
