/** Imports into a real database: what is enrolled, refused, resumed and kept for an index. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildIndex, type IndexBuildOptions } from '../../../index-builder/build/build-index.ts';
import { PreparedReferences } from '../../../src/index-files/prepared-references.ts';
import { importFile, type ImportedFile, type ImportOptions } from '../../../src/transfer/import/import.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../../src/matching/workers/gallery-sizing.ts';
import { packedModels } from '../../../src/matching/rates/model-version.ts';
import { packTemplates } from '../../../src/matching/search/probe.ts';
import { WorkerPool } from '../../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../../src/security/block-sealer.ts';
import type { ImportRefusal } from '../../../src/store/imports.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../../cluster.ts';
import { temporaryKeys } from '../../keys.ts';
import { importOrder } from './import-order.ts';
import { delimited, delimitedOf, fileOf, lineOf, record } from './record-files.ts';

const keys = temporaryKeys();
let cluster: TestCluster;
let store: Store;
let url: string;
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  return () => store.close();
});

const order = (file: string, changes: Partial<ImportOptions> = {}) => importOrder(store.imports, file, changes);

async function refusalsOf(digest: Uint8Array): Promise<ImportRefusal[]> {
  const refusals: ImportRefusal[] = [];
  for await (const refusal of store.imports.refusals(digest)) refusals.push(refusal);
  return refusals;
}

const externalIds = async () => {
  const all = await store.subjects.list({
    gallery: undefined,
    contributor: undefined,
    limit: 1000,
    afterSubjectId: undefined,
  });
  return all.map(({ subject }) => subject.externalId).sort();
};

const broken = (person: number) => {
  const { samples, ...rest } = record(person);
  return { ...rest, samples: samples.map((sample) => ({ ...sample, data: sample.data.subarray(0, 40) })) };
};

describe.each([
  ['ndjson', lineOf],
  ['binpb', delimitedOf],
] as const)('an import (%s)', (format, written) => {
  it('enrols the good records, and reports the fault and its place in each other record', async () => {
    const unknownModel = record(3);
    unknownModel.samples[2].modelId = 'unheard-of';
    const requests = [record(1), broken(2), unknownModel, record(4, { contributor: 'no name!' }), record(5), record(5)];
    const taken = record(6, { externalId: 'person-5' });
    const file = fileOf(`a.${format}`, Buffer.concat([...requests, taken, record(7)].map(written)));
    const { digest, state } = await importFile(order(file));
    expect(state).toMatchObject({ records: 8, subjects: 3, references: 9, repeated: 1, refused: 4 });
    expect(await externalIds()).toEqual(['person-1', 'person-5', 'person-7']);
    expect(await refusalsOf(digest)).toMatchObject([
      { record: 2, field: 'samples[0].data', externalId: 'person-2', contributor: 'agency' },
      { record: 3, reason: 'UNKNOWN_MODEL', field: 'samples[2].model_id' },
      { record: 4, reason: 'INVALID_REQUEST', field: 'data.contributor', contributor: 'no name!' },
      { record: 7, reason: 'EXTERNAL_ID_TAKEN', externalId: 'person-5' },
    ]);
    expect((await store.subjects.readChanges(0, 100)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('does not change subjects enrolled before, and does not bring back expunged ones', async () => {
    const file = fileOf(`a.${format}`, Buffer.concat([1, 2, 3].map((person) => written(record(person)))));
    const { digest } = await importFile(order(file));
    await store.imports.end(digest);
    const [first] = await store.subjects.loadSubjects(
      (await store.subjects.readChanges(0, 1)).map(({ subjectId }) => subjectId),
    );
    await store.subjects.expunge(first.subject.subjectId, 'order', () => 'receipt');
    const again = await importFile(order(file));
    expect(again.state).toMatchObject({ records: 3, subjects: 0, repeated: 2, refused: 1 });
    expect(await refusalsOf(again.digest)).toMatchObject([{ record: 1, reason: 'SUBJECT_EXPUNGED' }]);
    expect(await externalIds()).toEqual(['person-2', 'person-3']);
  });

  it('resumes where it was, whenever it is interrupted', async () => {
    const people = 12;
    const requests = Array.from({ length: people }, (_, i) => (i % 4 === 1 ? broken(i) : record(i)));
    const content = Buffer.concat(requests.map(written));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 9 }), async (pieceBytes, after) => {
        const file = fileOf(`a.${format}`, content);
        let pieces = 0;
        const stopped = importFile(
          order(file, {
            pieceBytes,
            onEnrolled: () => (++pieces === after ? Promise.reject(new Error('interrupted')) : Promise.resolve()),
          }),
        );
        const ended = await stopped.then(
          () => true,
          () => false,
        );
        expect(ended).toBe(pieces < after);
        const { digest, state, before } = await importFile(order(file, { pieceBytes }));
        expect(state).toMatchObject({ offset: content.length, records: people, refused: 3 });
        expect(state.subjects + state.repeated).toBe(9);
        expect(before.records).toBeGreaterThan(0);
        expect((await refusalsOf(digest)).map((refusal) => refusal.record)).toEqual([2, 6, 10]);
        expect(await externalIds()).toHaveLength(9);
        await store.imports.end(digest);
      }),
      { numRuns: 8 },
    );
  });
});

describe('an import', () => {
  it('reports galleries without earlier subjects at once, but not those of refused records', async () => {
    const content = [
      record(1, { galleries: ['a', 'b'] }),
      record(2, { galleries: ['b'] }),
      { ...broken(3), data: record(3, { galleries: ['c'] }).data },
      record(1, { galleries: ['d'] }),
      record(4, { galleries: ['d', 'a'] }),
    ].map(lineOf);
    const told: (readonly string[])[] = [];
    const names = { onNewGalleries: (some: readonly string[]) => void told.push(some), pieceBytes: 1 };
    const { state, newGalleries } = await importFile(order(fileOf('a.ndjson', Buffer.concat(content)), names));
    expect(state).toMatchObject({ subjects: 3, refused: 2 });
    expect(newGalleries).toEqual(['a', 'b', 'd']);
    expect(told).toEqual([['a', 'b'], ['d']]);
    const others = fileOf('b.ndjson', lineOf(record(5, { galleries: ['a', 'd'] })));
    expect((await importFile(order(others))).newGalleries).toEqual([]);
  });

  it('accepts and counts expired subjects, except with an expiry before 1900', async () => {
    const until = (time: string) => ({ expireTime: new Date(time) });
    const lines = [
      record(1, until('2001-02-03T04:05:06Z')),
      record(2, until('2999-01-01T00:00:00Z')),
      record(3, until('1900-01-01T00:00:00Z')),
      record(4, until('1899-12-31T00:00:00Z')),
    ].map(lineOf);
    const { digest, state, warnings } = await importFile(order(fileOf('a.ndjson', Buffer.concat(lines))));
    expect(state).toMatchObject({ subjects: 3, refused: 1 });
    expect(warnings.get('EXPIRED_ALREADY')).toBe(2);
    expect(await refusalsOf(digest)).toMatchObject([{ record: 4, field: 'data.expire_time' }]);
  });

  it('refuses unreadable records by their line, and continues after them', async () => {
    const good = lineOf(record(1)).toString();
    const [sample] = record(2).samples;
    const parts = JSON.parse(good) as { data: object; samples: object[] };
    const lines = [
      good.trim(),
      '',
      '{"data":',
      '[]',
      JSON.stringify({ ...parts, data: { ...parts.data, expire_tiem: '2030-01-01T00:00:00Z' } }),
      JSON.stringify({ ...parts, data: { ...parts.data, expire_time: 'tomorrow' } }),
      JSON.stringify({ ...parts, samples: [{ ...parts.samples[0], data: '%%%' }] }),
      JSON.stringify({ ...parts, samples: [{ ...parts.samples[0], quality: 'good' }] }),
      JSON.stringify({ ...parts, samples: [{ ...parts.samples[0], format: 'TEMPLATE_FORMAT_NEW' }] }),
      JSON.stringify({ data: { ...parts.data, external_id: 'x'.repeat(1 << 20) }, samples: parts.samples }),
      '  ',
      // ProtoJSON allows snake case, numbers for enum names, and empty fields.
      JSON.stringify({
        data: { contributor: 'agency', external_id: 'snake', galleries: ['g'], expire_time: null },
        samples: [{ modality: 1, format: 1, data: sample.data.toString('base64'), finger_position: 0 }],
        client_request_id: 'snake-1',
      }),
    ];
    const file = fileOf('a.jsonl', Buffer.from(`${lines.join('\n')}\r\n`));
    const { digest, state } = await importFile(order(file));
    expect(state).toMatchObject({ records: 12, subjects: 2, refused: 8 });
    expect(await refusalsOf(digest)).toMatchObject([
      { record: 3, reason: 'REQUEST_UNREADABLE' },
      { record: 4, reason: 'INVALID_REQUEST' },
      {
        record: 5,
        reason: 'INVALID_REQUEST',
        field: 'data',
        message: expect.stringContaining('expire_tiem') as string,
      },
      { record: 6, reason: 'INVALID_REQUEST', field: 'data.expire_time' },
      { record: 7, reason: 'INVALID_REQUEST', field: 'samples[0].data' },
      { record: 8, reason: 'INVALID_REQUEST', field: 'samples[0].quality' },
      { record: 9, reason: 'UNKNOWN_FORMAT', field: 'samples[0].format' },
      { record: 10, reason: 'RECORD_TOO_LARGE' },
    ]);
    expect(await externalIds()).toEqual(['person-1', 'snake']);
  });

  it('enrols the records before the damage in a file', async () => {
    const whole = Buffer.concat([record(1), record(2), record(3)].map(delimitedOf));
    const file = fileOf('a.binpb', whole.subarray(0, -5));
    await expect(importFile(order(file, { pieceBytes: 1000 }))).rejects.toThrow(reason('IMPORT_FILE_DAMAGED'));
    expect(await externalIds()).toEqual(['person-1', 'person-2']);
    await expect(importFile(order(`${file}.not-there.binpb`))).rejects.toThrow(reason('IMPORT_FILE_UNREADABLE'));
  });

  it('refuses unreadable bytes, even within a valid length', async () => {
    const file = fileOf('a.binpb', Buffer.concat([delimited(Buffer.from([0x0a, 0xff, 0xff])), delimitedOf(record(1))]));
    const { digest } = await importFile(order(file));
    expect(await refusalsOf(digest)).toMatchObject([{ record: 1, reason: 'REQUEST_UNREADABLE' }]);
    expect(await externalIds()).toEqual(['person-1']);
  });

  it('stops when another process has imported the same file meanwhile, and loses nothing', async () => {
    const file = fileOf('a.ndjson', Buffer.concat(Array.from({ length: 20 }, (_, i) => lineOf(record(i)))));
    const other: ImportedFile[] = [];
    const overtaken = importFile(
      order(file, {
        pieceBytes: 5000,
        // The first piece is enrolled. Now another process imports the same file to its end.
        onEnrolled: async () => void other.push(await importFile(order(file, { pieceBytes: 5000 }))),
      }),
    );
    await expect(overtaken).rejects.toThrow(reason('IMPORT_UNDER_WAY'));
    expect(other).toHaveLength(1);
    const [{ before, state }] = other;
    expect(before.subjects).toBeGreaterThan(0);
    expect(before.subjects).toBeLessThan(20);
    expect(state).toMatchObject({ records: 20, subjects: 20, repeated: 0, refused: 0 });
    expect(await externalIds()).toHaveLength(20);
  });

  it('waits for another process that is about to record its progress, and then stops', async () => {
    const digest = createHash('sha256').update('a file').digest();
    const before = await store.imports.begin(digest);
    const [other, watcher] = [1, 2].map(() => new pg.Client({ connectionString: url }));
    await Promise.all([other.connect(), watcher.connect()]);
    await other.query('BEGIN; UPDATE import SET byte_offset = byte_offset + 1000');
    const step = { from: 0, to: 10, records: 1, enrolments: [], refused: [], refusalOf: () => expect.fail('none') };
    const overtaken = expect(store.imports.take(digest, step)).rejects.toThrow(reason('IMPORT_UNDER_WAY'));
    const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    await vi.waitFor(async () => expect((await watcher.query(waiting)).rowCount).toBe(1), { timeout: 30_000 });
    await other.query('COMMIT');
    await overtaken;
    expect(await store.imports.begin(digest)).toEqual({ ...before, offset: 1000 });
    await Promise.all([other.end(), watcher.end()]);
  });

  it('leaves its prepared references to the next build, which makes the same index from them', async () => {
    const pool = new WorkerPool(1);
    const sealerOf = sealersOf(keys, 'index');
    const sealer = sealerOf(keys.ring.currentId);
    const indexDir = temporaryDirectory();
    const build = (changes: Partial<IndexBuildOptions>) =>
      buildIndex({
        store: store.subjects,
        indexDir,
        shape: INDEX_SHAPE,
        models: packedModels(),
        pack: (templates) => packTemplates(pool, templates),
        faceCodes: { pool, sizing: gallerySizing(SEGMENT_CAPACITY) },
        sealer,
        sealerOf,
        reuse: true,
        onProgress: () => undefined,
        onWarning: (sentence) => expect.fail(sentence),
        ...changes,
      });
    for (const people of [[1, 2, 3, 4], [5], []]) {
      const file = fileOf('a.ndjson', Buffer.concat(people.map((person) => lineOf(record(person)))));
      const prepared = await PreparedReferences.begin(indexDir, INDEX_SHAPE, packedModels(), sealer);
      await importFile(order(file, { pieceBytes: 5000, onEnrolled: (...enrolled) => prepared.add(...enrolled) }));
      await prepared.close();
    }
    const preparedIn = () => readdirSync(indexDir).filter((name) => name.startsWith('prepared-'));
    // An import that enrolled no subject leaves no file.
    expect(preparedIn()).toHaveLength(2);
    const writing = await PreparedReferences.begin(indexDir, INDEX_SHAPE, packedModels(), sealer);
    const built = await build({});
    expect(built).toMatchObject({ subjects: 5, references: 15, reused: 15 });
    // The file of a running import stays.
    expect(preparedIn()).toHaveLength(1);
    await writing.close();
    const other = temporaryDirectory();
    expect((await build({ indexDir: other, reuse: false })).manifest.stamp).toBe(built.manifest.stamp);
    expect(existsSync(join(indexDir, built.name))).toBe(true);
    await pool.close();
  });

  it('identifies records without a request id by their content', async () => {
    const named = { ...record(1), clientRequestId: 'own-name' };
    await importFile(order(fileOf('a.ndjson', lineOf(named))));
    const changed = { ...record(1, { caveats: ['ARMED'] }), clientRequestId: 'own-name' };
    const { digest } = await importFile(order(fileOf('b.ndjson', lineOf(changed))));
    expect(await refusalsOf(digest)).toMatchObject([{ reason: 'CLIENT_REQUEST_ID_REUSED' }]);
  });
});
