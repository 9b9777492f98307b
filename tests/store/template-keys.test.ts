import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { queryOf, withoutMacs } from './earlier-schemas.ts';
import { enrolment, reference } from './records.ts';

let cluster: TestCluster;
let url: string;
let keys: Keys;
let store: Store;
let database: pg.Client;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  keys = temporaryKeys();
  store = await open(keys);
  database = new pg.Client({ connectionString: url });
  await database.connect();
  return async () => {
    await database.end();
    await store.close();
  };
});

const open = (withKeys: Keys) => openStore({ databaseUrl: url, dataDir: '', keys: withKeys, log: () => undefined });
const template = Uint8Array.from({ length: 64 }, (_, i) => i);
const reason = (text: string) => expect.objectContaining({ reason: text }) as Error;

async function enrol(count: number): Promise<string[]> {
  const made = Array.from({ length: count }, () => ({ ...enrolment(), references: [reference({ template })] }));
  const outcomes = await store.subjects.enrollMany(made);
  expect(outcomes.every((outcome) => !('failure' in outcome))).toBe(true);
  return made.map(({ subject }) => subject.subjectId);
}

async function templatesOf(ids: readonly string[]): Promise<Uint8Array[]> {
  const subjects = await store.subjects.loadSubjects(ids);
  return subjects.flatMap(({ references }) => references.map((one) => Uint8Array.from(one.template)));
}

/** Transactions that wait for a lock. No other test uses this file's cluster. */
async function transactionsWaiting(): Promise<number> {
  const { rows } = await database.query('SELECT FROM pg_locks WHERE NOT granted');
  return rows.length;
}

describe('stored templates', () => {
  it('are encrypted, each differently', async () => {
    await enrol(3);
    const { rows } = await database.query<{ template: Buffer; key_id: string }>(
      'SELECT template, key_id FROM reference',
    );
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row.key_id).toBe(keys.ring.currentId);
      expect(row.template.includes(Buffer.from(template.subarray(0, 16)))).toBe(false);
    }
    expect(new Set(rows.map((row) => row.template.toString('hex'))).size).toBe(3);
  });

  it('cannot be exchanged for one another', async () => {
    const ids = await enrol(2);
    const versions = await store.subjects.headSequence();
    await database.query(
      'UPDATE reference r SET template = o.template FROM reference o WHERE o.reference_id <> r.reference_id',
    );
    await expect(store.subjects.loadSubjects(ids)).rejects.toThrow(reason('SEALED_DATA_DAMAGED'));
    expect(await store.subjects.headSequence()).toBe(versions);
  });

  it('of an earlier version are encrypted at the next start', async () => {
    const ids = await enrol(1200);
    await database.query('UPDATE reference SET key_id = NULL, template = $1', [Buffer.from(template)]);
    await withoutMacs(queryOf(database), keys);
    await store.close();
    store = await open(keys);
    const { rows } = await database.query('SELECT FROM reference WHERE key_id IS NULL OR template = $1', [
      Buffer.from(template),
    ]);
    expect(rows).toHaveLength(0);
    expect(await templatesOf(ids)).toEqual(ids.map(() => template));
  });
});

describe('the keys of a database', () => {
  it('are required, and must be the right ones', async () => {
    await enrol(1);
    const strangers = temporaryKeys();
    await expect(open(strangers)).rejects.toThrow(reason('KEYS_UNREADABLE'));
    await strangers.open(false);
    await expect(open(strangers)).rejects.toThrow(reason('KEY_MISSING'));
    await database.query('UPDATE template_key SET proof = $1', [Buffer.alloc(32)]);
    await expect(open(keys)).rejects.toThrow(reason('KEY_WRONG'));
  });

  it('are created once by programs that start together', async () => {
    url = await cluster.createDatabase();
    const shared = temporaryKeys();
    const { databaseUrl, ...rest } = { databaseUrl: url, dataDir: '', keys: shared, log: () => undefined };
    const stores = await Promise.all([1, 2, 3].map(() => openStore({ databaseUrl, ...rest })));
    expect(shared.ring.ids).toHaveLength(1);
    await Promise.all(stores.map((one) => one.close()));
  });

  it('are rotated during enrolments, and nothing is lost', async () => {
    const before = await enrol(700);
    const old = keys.ring.currentId;
    const others = Array.from({ length: 20 }, () => enrol(3));
    const ring = keys.ring.withNewKey(new Date());
    await store.templateKeys.enter(ring);
    await keys.replace(ring);
    const seen: number[] = [];
    const sealing = store.templateKeys.sealStored('all', (count) => seen.push(count));
    const during = (await Promise.all([...others, enrol(3)])).flat();
    expect(await sealing).toBeGreaterThanOrEqual(700);
    expect(seen.at(-1)).toBe(await sealing);
    expect(await store.templateKeys.count()).toEqual(new Map([[ring.currentId, 700 + during.length]]));
    expect(await templatesOf([...before, ...during])).toEqual([...before, ...during].map(() => template));
    await store.templateKeys.forget(old);
    await keys.replace(keys.ring.without(old));
    await store.close();
    store = await open(keys);
    expect(await templatesOf(before.slice(0, 3))).toEqual([template, template, template]);
  });

  it('are rotated for an enrolment that was encrypted before and is written afterwards', async () => {
    const old = keys.ring.currentId;
    // No one can write references, but every transaction can read and lock them.
    await database.query('BEGIN; LOCK TABLE reference IN SHARE MODE');
    const writing = enrol(3);
    await expect.poll(transactionsWaiting).toBe(1);
    const ring = keys.ring.withNewKey(new Date());
    await store.templateKeys.enter(ring);
    await keys.replace(ring);
    const sealing = store.templateKeys.sealStored('all', () => undefined);
    await expect.poll(transactionsWaiting).toBe(2);
    await database.query('COMMIT');
    await Promise.all([writing, sealing]);
    expect(await store.templateKeys.count()).toEqual(new Map([[ring.currentId, 3]]));
    await store.templateKeys.forget(old);
  });

  it('cannot be forgotten while they are needed', async () => {
    await enrol(1);
    await expect(store.templateKeys.forget(keys.ring.currentId)).rejects.toThrow(reason('KEY_IN_USE'));
  });
});
