/** The galleries that the store knows: every gallery that any subject ever belonged to, however it came to be. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { withoutGalleryNames } from './earlier-schemas.ts';
import { enrolment } from './records.ts';

const keys = temporaryKeys();
let cluster: TestCluster;
let url: string;
let store: Store;

const open = (databaseUrl: string) => openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  store = await open(url);
  return () => store.close();
});

const known = async (of = store) => (await of.subjects.galleries()).sort();

async function query(text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as unknown[];
  } finally {
    await client.end();
  }
}

it('stay known when no subject is in them any more', async () => {
  expect(await known()).toEqual([]);
  const { subject } = await store.subjects.enroll(enrolment({ galleries: ['a', 'b'] }).subject, []);
  await store.subjects.enrollMany([enrolment({ galleries: ['b', 'c'] }), enrolment({ galleries: ['c'] })]);
  expect(await known()).toEqual(['a', 'b', 'c']);
  await store.subjects.update(subject.subjectId, undefined, { galleries: ['d'] }, undefined);
  await store.subjects.expunge(subject.subjectId, 'test', () => '{}');
  expect(await known()).toEqual(['a', 'b', 'c', 'd']);
  await expect(store.subjects.requireGallery('a')).resolves.toBeUndefined();
  await expect(store.subjects.requireGallery('A')).rejects.toMatchObject({ reason: 'GALLERY_UNKNOWN' });
});

it('of a refused record do not become known', async () => {
  const outcomes = await store.subjects.enrollMany([
    enrolment({ externalId: 'x', galleries: ['a'] }),
    enrolment({ externalId: 'x', galleries: ['refused'] }),
  ]);
  expect(outcomes.map((outcome) => 'failure' in outcome)).toEqual([false, true]);
  expect(await known()).toEqual(['a']);
});

it('become known from concurrent enrolments', async () => {
  const names = Array.from({ length: 12 }, (_, i) => `g${String(i).padStart(2, '0')}`);
  const shuffled = (seed: number) => names.map((_, i) => names[(i * 5 + seed) % names.length]);
  const outcomes = await Promise.all(
    names.map((_, seed) => store.subjects.enrollMany([enrolment({ galleries: shuffled(seed) })])),
  );
  expect(outcomes.flat().filter((outcome) => 'failure' in outcome)).toEqual([]);
  expect(await known()).toEqual(names);
});

it('of existing subjects become known when an older store is migrated', async () => {
  const { subject } = await store.subjects.enroll(enrolment({ galleries: ['a', 'b'] }).subject, []);
  await store.close();
  await withoutGalleryNames(query, keys);
  store = await open(url);
  expect(await known()).toEqual(['a', 'b']);
  expect(await query('SELECT DISTINCT first_seen FROM gallery')).toEqual([{ first_seen: subject.createTime }]);
});

it.each([
  ['as it was', (tables: readonly string[]) => tables],
  [
    'with the memberships first',
    (tables: readonly string[]) => [...tables].sort((a, b) => +(a === 'gallery') - +(b === 'gallery')),
  ],
  ['without the galleries', (tables: readonly string[]) => tables.filter((table) => table !== 'gallery')],
])('are restored from a copy %s', async (_, reorder) => {
  await store.subjects.enroll(enrolment({ galleries: ['a', 'b'] }).subject, []);
  const { subject } = await store.subjects.enroll(enrolment({ galleries: ['emptied'] }).subject, []);
  await store.subjects.expunge(subject.subjectId, 'test', () => '{}');
  const rows = await query('SELECT * FROM gallery ORDER BY name');
  const parts = new Map<string, Buffer[]>();
  let facts: Parameters<Store['copy']['restore']>[0] | undefined;
  await store.copy.dump(
    (found) => Promise.resolve(void (facts = found)),
    (table, bytes) => Promise.resolve(void parts.set(table, [...(parts.get(table) ?? []), Buffer.from(bytes)])),
  );
  if (facts === undefined) throw new Error('nothing was copied');
  await store.close();
  url = await cluster.createDatabase();
  store = await open(url);
  const tables = reorder([...parts.keys()]);
  await store.copy.restore(facts, async (write) => {
    for (const table of tables) for (const bytes of parts.get(table) ?? []) await write(table, bytes);
  });
  const copied = await query('SELECT * FROM gallery ORDER BY name');
  if (tables.includes('gallery')) expect(copied).toEqual(rows);
  else expect(await known()).toEqual(['a', 'b']);
});
