/** Rows that were lost silently, as a block of zeros leaves a table: their absence is not taken for an empty table. */
import { ftruncateSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkStore } from '../../src/cli/commands/store-check.ts';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';
import { BLOCK, changeFile } from './relation-files.ts';
import { enrolment, faceReference } from './records.ts';

const SUBJECTS = 400;
const EXPUNGED = 40;
const RECEIPT = 'r'.repeat(100);

let dataDir: string;
let cluster: EmbeddedCluster;
let administrator: pg.Client;
/** Ids of the subjects in the order of their enrolment; the first ones are expunged. */
let ids: string[];
let count = 0;

/** A subject with a readable face template. */
function person(name: string) {
  return { ...enrolment({ externalId: name }, name), references: [faceReference(64)] };
}

const keysOf = () => new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });
const open = (databaseUrl: string) => openStore({ databaseUrl, dataDir, keys: keysOf(), log: () => undefined });
const urlOf = (database: string) => cluster.url.replace(/\/postgres$/, `/${database}`);

beforeAll(async () => {
  dataDir = temporaryDirectory();
  await keysOf().create();
  cluster = await startEmbeddedCluster(dataDir, () => undefined);
  administrator = new pg.Client({ connectionString: cluster.url });
  await administrator.connect();
  await administrator.query('CREATE DATABASE origin');
  const store = await open(urlOf('origin'));
  const made = Array.from({ length: SUBJECTS }, (_, i) => person(`person ${i}`));
  ids = made.map(({ subject }) => subject.subjectId);
  await store.subjects.enrollMany(made);
  for (const id of ids.slice(0, EXPUNGED)) await store.subjects.expunge(id, 'test', () => RECEIPT);
  await store.close();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await administrator.end();
  await cluster.stop();
});

/** @returns the URL of a copy of the store */
async function copy(): Promise<string> {
  const name = `copy_${++count}`;
  await administrator.query(`CREATE DATABASE ${name} TEMPLATE origin STRATEGY FILE_COPY`);
  return urlOf(name);
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/**
 * Overwrites blocks of a table on disk with zeros, or truncates the file. @param from - counted from the end if
 * negative
 */
function zero(url: string, table: string, from: number, how: 'zero' | 'truncate' = 'zero'): Promise<void> {
  return changeFile(url, cluster.directory, table, (file, blocks) => {
    const first = from < 0 ? blocks + from : from;
    if (how === 'truncate') ftruncateSync(file, first * BLOCK);
    else writeSync(file, Buffer.alloc((blocks - first) * BLOCK), 0, undefined, first * BLOCK);
  });
}

interface Report {
  readonly obstacle?: string;
  readonly damaged: readonly unknown[];
  readonly indexes: readonly { readonly index: string }[];
  readonly missing_changes: number;
  readonly counter_wrong: boolean;
  readonly migration_list_wrong: boolean;
  readonly tables_restored?: readonly string[];
}

async function check(url: string, options: Parameters<typeof checkStore>[1] = {}): Promise<[number, Report]> {
  vi.stubEnv('DATABASE_URL', url);
  vi.stubEnv('RIDGEWATCH_DATA_DIR', dataDir);
  const written: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  try {
    const code = await checkStore([], { ...options, json: true, indexDir: join(dataDir, 'indexes') });
    return [code, JSON.parse(written.join('')) as Report];
  } finally {
    write.mockRestore();
  }
}

/** Expects no damage, one change for every number up to the last, and a higher number for the next change. */
async function expectWhole(url: string, head: number): Promise<void> {
  expect(await check(url)).toMatchObject([0, { damaged: [], missing_changes: 0, counter_wrong: false }]);
  const store = await open(url);
  try {
    expect(await store.subjects.headSequence()).toBeGreaterThanOrEqual(head);
    const [state] = await query<{ holes: number; last: number; counter: number }>(
      url,
      'SELECT (max(seq) - count(*))::int AS holes, max(seq)::int AS last, (SELECT seq::int FROM change_counter) AS counter FROM change',
    );
    expect(state).toEqual({ holes: 0, last: state.counter, counter: state.counter });
    await enrolAndExpunge(store, state.counter);
    const subjects = await storedIds(store);
    expect(subjects).toEqual(new Set(ids.slice(EXPUNGED)));
  } finally {
    await store.close();
  }
}

async function enrolAndExpunge({ subjects }: Store, head: number): Promise<void> {
  const made = person('afterwards');
  expect(await subjects.enroll(made.subject, made.references)).toMatchObject({ seq: head + 1 });
  expect(await subjects.expunge(made.subject.subjectId, 'test', () => RECEIPT)).toMatchObject({ seq: head + 2 });
  expect(await subjects.receiptsOf(made.subject.subjectId)).toEqual([RECEIPT]);
}

async function storedIds(store: Store): Promise<Set<string>> {
  const stored = new Set<string>();
  await store.subjects.snapshot((batch) => {
    for (const { subject } of batch) stored.add(subject.subjectId);
    return Promise.resolve();
  }, 100);
  return stored;
}

const HEAD = SUBJECTS + EXPUNGED;

describe('lost changes', () => {
  it.each([
    ['blocks of zeros at the end', -2, 'zero', ''],
    ['a truncated table', -2, 'truncate', ''],
    ['blocks of zeros at the end that an index knows of', -2, 'zero', 'VACUUM change'],
    ['all changes', 0, 'zero', ''],
  ] as const)('are filled in up to the counter, which is never lowered: %s', async (_, from, how, before) => {
    const url = await copy();
    if (before !== '') await query(url, before);
    await zero(url, 'change', from, how);
    const [code, found] = await check(url);
    expect([code, found.counter_wrong]).toEqual([7, false]);
    expect(found.missing_changes).toBeGreaterThan(0);
    expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [], missing_changes: 0 }]);
    await expectWhole(url, HEAD);
  });

  it('are skipped when the counter is lost as well', async () => {
    const url = await copy();
    await zero(url, 'change', -2);
    await zero(url, 'change_counter', 0);
    expect(await check(url)).toMatchObject([7, { counter_wrong: true }]);
    expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [], tables_restored: ['change_counter'] }]);
    await expectWhole(url, HEAD);
  });

  it('are known from the receipts when neither the counter nor the changes name them', async () => {
    const url = await copy();
    await zero(url, 'change', -2, 'truncate');
    await query(url, 'ALTER TABLE change_counter DISABLE TRIGGER USER; UPDATE change_counter SET seq = 1');
    expect(await check(url)).toMatchObject([7, { counter_wrong: true }]);
    expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [], tables_restored: ['change_counter'] }]);
    await expectWhole(url, HEAD);
  });
});

describe('a store that has lost a small table', () => {
  it('is damaged, not empty, without the counter', async () => {
    const url = await copy();
    await zero(url, 'change_counter', 0);
    await expect(open(url)).rejects.toMatchObject({
      reason: 'STORE_DAMAGED',
      message: expect.stringMatching(/change_counter is damaged.*--repair/) as string,
    });
    expect(await check(url)).toMatchObject([7, { counter_wrong: true }]);
    expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [], tables_restored: ['change_counter'] }]);
    await expectWhole(url, HEAD);
  });

  it('is refused for every reader and writer when the counter is lost while it is open', async () => {
    const url = await copy();
    const store = await open(url);
    try {
      await query(url, 'DELETE FROM change_counter');
      const { subjects, copy: whole } = store;
      const ignore = () => Promise.resolve();
      const calls = [
        () => subjects.headSequence(),
        () => subjects.enrollMany([person('another')]),
        () => subjects.snapshot(ignore, 10),
        () => whole.dump(ignore, ignore),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ reason: 'STORE_DAMAGED' });
    } finally {
      await store.close();
    }
  });

  it.each([
    ['the list of migrations is lost', (url: string) => zero(url, 'migration', 0)],
    ['the list has a gap', (url: string) => query(url, "DELETE FROM migration WHERE name LIKE '0003%'")],
  ])('is repaired when %s', async (_, damage) => {
    const url = await copy();
    await damage(url);
    await expect(open(url)).rejects.toMatchObject({
      reason: 'STORE_DAMAGED',
      message: expect.stringMatching(/migration is damaged.*--repair/) as string,
    });
    expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [], tables_restored: ['migration'] }]);
    await expectWhole(url, HEAD);
  });

  it('counts as used even without subjects and changes', async () => {
    await administrator.query('CREATE DATABASE fresh');
    const store = await open(urlOf('fresh'));
    try {
      expect(await store.subjects.isUntouched()).toBe(true);
      await store.subjects.enrollMany([person('first')]);
      await query(
        urlOf('fresh'),
        'ALTER TABLE change DISABLE TRIGGER ALL; DELETE FROM subject; DELETE FROM change; ALTER TABLE change_counter DISABLE TRIGGER USER; UPDATE change_counter SET seq = 0',
      );
      expect(await store.subjects.headSequence()).toBe(0);
      expect(await store.subjects.isUntouched()).toBe(false);
    } finally {
      await store.close();
    }
  });
});

describe('a missing index file', () => {
  it.each(['subject_pkey', 'change_subject'])(
    'is named, and rebuilt by a start or by the command: %s',
    async (index) => {
      for (const how of ['start', 'command']) {
        const url = await copy();
        const [{ path }] = await query<{ path: string }>(url, `SELECT pg_relation_filepath('${index}') AS path`);
        await query(
          url,
          `CREATE EXTENSION pg_buffercache; CHECKPOINT; SELECT pg_buffercache_evict_relation('${index}')`,
        );
        rmSync(join(cluster.directory, path));
        if (how === 'start') await (await open(url)).close();
        else {
          expect((await check(url))[1].indexes.map((one) => one.index)).toEqual([index]);
          expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [] }]);
        }
        await expectWhole(url, HEAD);
      }
    },
  );
});

describe('a missing table file', () => {
  it.each(['reference', 'change'])(
    'is named by a start and by the command, which changes nothing: %s',
    async (table) => {
      const url = await copy();
      const [{ path }] = await query<{ path: string }>(url, `SELECT pg_relation_filepath('${table}') AS path`);
      await query(url, `CREATE EXTENSION pg_buffercache; CHECKPOINT; SELECT pg_buffercache_evict_relation('${table}')`);
      const file = join(cluster.directory, path);
      renameSync(file, `${file}.away`);
      const missing = {
        reason: 'STORE_DAMAGED',
        message: expect.stringMatching(`The file ${path} of the table ${table} is missing.*restore a backup`) as string,
      };
      await expect(open(url)).rejects.toMatchObject(missing);
      for (const options of [{}, { repair: true }, { expunge: true, yes: true, expungeAtMost: SUBJECTS }])
        await expect(check(url, options)).rejects.toMatchObject(missing);
      renameSync(`${file}.away`, file);
      await expectWhole(url, HEAD);
    },
  );
});
