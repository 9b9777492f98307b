/** Exports from a real database: an import of the file restores what was exported. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EnrollRequest } from '../../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { HandlingCode } from '../../../src/contract/generated/ridgewatch/v1/handling.ts';
import { exportRecords, type ExportOptions } from '../../../src/transfer/export.ts';
import { importFile } from '../../../src/transfer/import/import.ts';
import type { SubjectWithReferences } from '../../../src/store/records.ts';
import { openStore, type Store } from '../../../src/store/store.ts';
import { decodeInt8Embedding } from '../../../src/templates/face-embedding.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../../cluster.ts';
import { importOrder } from '../import/import-order.ts';
import { fileOf, lineOf, record } from '../import/record-files.ts';
import { temporaryKeys } from '../../keys.ts';

let cluster: TestCluster;
let store: Store;
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
const newStore = async () =>
  openStore({
    databaseUrl: await cluster.createDatabase(),
    dataDir: '',
    keys: temporaryKeys(),
    log: () => undefined,
  });
beforeEach(async () => {
  store = await newStore();
  return () => store.close();
});

function importInto({ imports }: Store, file: string) {
  return importFile(importOrder(imports, file));
}

async function enrol(requests: readonly EnrollRequest[]) {
  const { state } = await importInto(store, fileOf('people.ndjson', Buffer.concat(requests.map(lineOf))));
  expect(state.refused).toBe(0);
}

function exportTo(file: string, changes: Partial<ExportOptions> = {}) {
  const order = {
    file,
    store: store.subjects,
    gallery: undefined,
    contributor: undefined,
    onProgress: () => undefined,
  };
  return exportRecords({ ...order, ...changes });
}

/** All subjects, without what a store assigns: ids, times, and the original format of a face. */
async function contentOf({ subjects }: Store) {
  const all: SubjectWithReferences[] = [];
  await subjects.snapshot((batch) => Promise.resolve(void all.push(...batch)), 100);
  return all
    .map(({ subject, references }) => ({
      ...subject,
      subjectId: '',
      createTime: undefined,
      updateTime: undefined,
      version: 0,
      references: references.map((reference) => ({
        ...reference,
        referenceId: '',
        subjectId: '',
        format: reference.modality === 'face' ? '' : reference.format,
        template: Buffer.from(reference.template).toString('base64'),
      })),
    }))
    .sort((a, b) => (String(a.externalId) < String(b.externalId) ? -1 : 1));
}

describe('an export', () => {
  const people = [
    record(1),
    record(2, { caveats: ['EYES-ONLY', 'A'], galleries: ['b', 'a'] }),
    record(3, { expireTime: new Date('2099-01-02T03:04:05Z'), externalId: '', contributor: 'other' }),
    record(4, {
      ...{
        reviewTime: new Date('2099-01-02T03:04:05.678Z'),
        suspended: true,
        minorUntil: new Date('9999-12-31T23:59:59Z'),
      },
      handling: { code: HandlingCode.LOCATE, instructions: 'Zażółć "🛂" \\ …', contact: 'duty desk' },
    }),
  ];

  it.each(['everybody.ndjson', 'everybody.jsonl', 'everybody.binpb'])(
    '%s enrols the same subjects in another store, once',
    async (name) => {
      await enrol(people);
      const file = join(temporaryDirectory(), name);
      expect(await exportTo(file)).toEqual({ sequence: 4, subjects: 4, references: 12 });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readdirSync(dirname(file))).toEqual([name]);
      const other = await newStore();
      try {
        expect((await importInto(other, file)).state).toMatchObject({ subjects: 4, references: 12, refused: 0 });
        expect(await contentOf(other)).toEqual(await contentOf(store));
        await other.imports.end((await importInto(other, file)).digest);
        expect((await importInto(other, file)).state).toMatchObject({ subjects: 0, repeated: 4, refused: 0 });
      } finally {
        await other.close();
      }
    },
  );

  it('selects one gallery, one contributor, or both', async () => {
    await enrol(people);
    const count = async (changes: Partial<ExportOptions>) =>
      (await exportTo(join(temporaryDirectory(), 'some.ndjson'), changes)).subjects;
    expect(await count({ gallery: 'a' })).toBe(1);
    expect(await count({ contributor: 'other' })).toBe(1);
    expect(await count({ gallery: 'watchlist' })).toBe(3);
    await expect(count({ gallery: 'a', contributor: 'other' })).rejects.toThrow(reason('NOTHING_TO_EXPORT'));
    // A misspelt gallery is not an empty one.
    await expect(count({ gallery: 'nobody' })).rejects.toThrow(reason('GALLERY_UNKNOWN'));
  });

  it('overwrites no file, and leaves no incomplete one', async () => {
    await enrol(people);
    const file = join(temporaryDirectory(), 'kept.ndjson');
    writeFileSync(file, 'mine');
    await expect(exportTo(file)).rejects.toThrow(reason('OUTPUT_EXISTS'));
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await expect(exportTo(join(temporaryDirectory(), 'people.csv'))).rejects.toThrow(reason('RECORD_FORMAT_UNKNOWN'));
    await expect(exportTo(join(temporaryDirectory(), 'nowhere', 'a.ndjson'))).rejects.toThrow(
      reason('OUTPUT_UNWRITABLE'),
    );
    const cut = join(temporaryDirectory(), 'cut.ndjson');
    const failing: ExportOptions['store'] = {
      requireGallery: () => Promise.resolve(),
      snapshot: (onBatch, size) =>
        store.subjects.snapshot(async (batch, seq) => {
          await onBatch(batch, seq);
          throw new Error('the line is dead');
        }, size),
    };
    await expect(exportTo(cut, { store: failing })).rejects.toThrow();
    expect(existsSync(cut)).toBe(false);
    expect(readdirSync(dirname(cut))).toEqual([]);
  });

  it('of an empty store is an empty file', async () => {
    const file = join(temporaryDirectory(), 'nobody.binpb');
    expect(await exportTo(file)).toEqual({ sequence: 0, subjects: 0, references: 0 });
    expect(statSync(file).size).toBe(0);
  });
});

it('stored faces do not change when they are enrolled again', () => {
  const component = fc.integer({ min: -127, max: 127 });
  const embedding = fc
    .int8Array({ min: -127, max: 127, minLength: 64, maxLength: 64 })
    .chain((values) => fc.tuple(fc.constant(values), fc.nat(63), component))
    .map(([values, at, value]) => values.with(at, value === 0 ? 1 : value));
  fc.assert(
    fc.property(embedding, (values) => {
      const facts = { modelId: 'm', dimension: 64, quality: 0 };
      const stored = decodeInt8Embedding(new Uint8Array(values.buffer), facts).values;
      const again = decodeInt8Embedding(new Uint8Array(Int8Array.from(stored).buffer), facts).values;
      expect([...again]).toEqual([...stored]);
    }),
  );
});
