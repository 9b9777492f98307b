/**
 * Blocks of zeros, which PostgreSQL takes for new pages, and truncated files, which it takes for shorter tables: it
 * reports neither. Everything that reads the store reports the rows that indexes and changes still know.
 */
import { ftruncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { backup } from '../../src/cli/commands/backup.ts';
import { exportToFile } from '../../src/cli/commands/export.ts';
import { checkStore } from '../../src/cli/commands/store-check.ts';
import type { ChangeFollower } from '../../src/gallery/change-follower.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import type { IndexSwitcher } from '../../src/index-files/index-switcher.ts';
import { createLogger } from '../../src/observability/logging.ts';
import { Readiness } from '../../src/observability/readiness.ts';
import { Keys } from '../../src/security/keys.ts';
import { startGallery } from '../../src/service/gallery-start.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import type { DamagedReference, SubjectWithReferences } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';
import { BLOCK, changeFile } from './relation-files.ts';
import { enrolment, faceReference } from './records.ts';

const SUBJECTS = 120;
const ORIGIN = 'origin';
const HARMS = ['zeros', 'cut off'] as const;
type Harm = (typeof HARMS)[number];

interface Report {
  readonly obstacle?: string;
  readonly subjects: number;
  readonly references: number;
  readonly blocks: readonly { readonly table: string; readonly block: number }[];
  readonly indexes: readonly { readonly index: string }[];
  readonly damaged: readonly { readonly reference_id: string; readonly subject_id: string; readonly reason: string }[];
  readonly indexes_rebuilt?: readonly { readonly index: string; readonly outcome: string }[];
}

let dataDir: string;
let cluster: EmbeddedCluster;
let administrator: pg.Client;
let galleries: ReadonlyMap<string, string>;
let count = 0;
let url: string;

const keys = () => new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });
const urlOf = (database: string) => cluster.url.replace(/\/postgres$/, `/${database}`);

beforeAll(async () => {
  dataDir = temporaryDirectory();
  await keys().create();
  cluster = await startEmbeddedCluster(dataDir, () => undefined);
  administrator = new pg.Client({ connectionString: cluster.url });
  await administrator.connect();
  await administrator.query(`CREATE DATABASE ${ORIGIN}`);
  url = urlOf(ORIGIN);
  const made = Array.from({ length: SUBJECTS }, (_, i) => ({
    ...enrolment({ externalId: `external ${i}`, galleries: ['main', `gallery ${i % 5}`] }, `request ${i}`),
    references: [faceReference(400, 'first'), faceReference(400, 'second')],
  }));
  await withStore(async ({ subjects }) => {
    await subjects.enrollMany(made);
    for (const { subject } of made.slice(0, 3)) await subjects.expunge(subject.subjectId, 'test', () => '{}');
  });
  galleries = new Map(made.slice(3).map(({ subject }) => [subject.subjectId, [...subject.galleries].sort().join()]));
  await sql(
    url,
    `INSERT INTO audit_record (writer, seq, at, kind, client_id, subjects, entry, hash)
     SELECT gen_random_uuid(), n, now(), 'call', 'gate', ARRAY[gen_random_uuid()], repeat('e', 300), sha256('')
     FROM generate_series(1, 100) n`,
  );
  await sql(url, 'VACUUM FREEZE');
}, 60_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await administrator.end();
  await cluster.stop();
});
beforeEach(async () => {
  const name = `copy_${++count}`;
  await administrator.query(`CREATE DATABASE ${name} TEMPLATE ${ORIGIN} STRATEGY FILE_COPY`);
  url = urlOf(name);
});

async function withStore<T>(work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore({ databaseUrl: url, dataDir, keys: keys(), log: () => undefined });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function sql<Row extends pg.QueryResultRow>(at: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = new pg.Client({ connectionString: at });
  await client.connect();
  try {
    return (await client.query<Row>(text, values)).rows;
  } finally {
    await client.end();
  }
}

/** Removes the last block of a relation, or the given one, on disk. @returns its number */
function harm(relation: string, how: Harm, block = -1): Promise<number> {
  return changeFile(url, cluster.directory, relation, (file, blocks) => {
    const at = (block + blocks) % blocks;
    if (how === 'zeros') writeSync(file, Buffer.alloc(BLOCK), 0, BLOCK, at * BLOCK);
    else ftruncateSync(file, at * BLOCK);
    return at;
  });
}

/** Overwrites bytes of a block, which then cannot be read. */
function spoil(relation: string, block: number): Promise<number> {
  return changeFile(url, cluster.directory, relation, (file) => {
    writeSync(file, Buffer.alloc(64, 0xa5), 0, 64, block * BLOCK + 100);
    return block;
  });
}

/** Runs a command. @returns its exit code and output */
async function run(command: () => Promise<number>): Promise<{ code: number; out: string; errors: string }> {
  vi.stubEnv('DATABASE_URL', url);
  vi.stubEnv('RIDGEWATCH_DATA_DIR', dataDir);
  const [out, errors]: [string[], string[]] = [[], []];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
  const complain = vi.spyOn(process.stderr, 'write').mockImplementation((text) => errors.push(String(text)) > 0);
  try {
    return { code: await command(), out: out.join(''), errors: errors.join('') };
  } finally {
    write.mockRestore();
    complain.mockRestore();
  }
}

async function check(options: Parameters<typeof checkStore>[1] = {}): Promise<[number, Report]> {
  const { code, out } = await run(() => checkStore([], { ...options, json: true, indexDir: join(dataDir, 'indexes') }));
  const found = JSON.parse(out) as Report;
  if (options.expunge === true) expect(found.obstacle).toBeUndefined();
  return [code, found];
}

async function readAll({ subjects }: Store) {
  const [all, damaged]: [SubjectWithReferences[], DamagedReference[]] = [[], []];
  await subjects.snapshot((batch, _, unreadable = []) => {
    all.push(...batch);
    damaged.push(...unreadable, ...batch.flatMap((one) => one.damaged ?? []));
    return Promise.resolve();
  }, 40);
  return { all, damaged, references: all.reduce((sum, one) => sum + one.references.length, 0) };
}

const idsOf = (all: readonly SubjectWithReferences[]) => all.map(({ subject }) => subject.subjectId).sort();
const expungeAll = { expunge: true, yes: true, expungeAtMost: SUBJECTS };

/** Expects every reader of the store to report the loss: exit code 7 of the check, 4 of commands that write files. */
async function expectTold(table: string): Promise<Report> {
  const [code, found] = await check();
  expect({ code, found }).toMatchObject({ code: 7 });
  expect(found.blocks.map((one) => one.table)).toContain(table);
  const copied = await run(() => backup([join(dataDir, `${++count}.backup`)], { json: true }));
  expect({ code: copied.code, errors: copied.errors }).toEqual({
    code: 4,
    errors: expect.stringContaining(`The table ${table} lacks`) as string,
  });
  return found;
}

describe.each(HARMS)('a silently lost block (%s)', (how) => {
  it('of references: each one is named with its subject, and no other is lost', async () => {
    const rows = await sql<{ reference_id: string; subject_id: string; block: number }>(
      url,
      'SELECT reference_id, subject_id, (ctid::text::point)[0]::int AS block FROM reference',
    );
    const block = await harm('reference', how);
    const lost = rows.filter((row) => row.block === block);
    const names = lost.map((row) => row.reference_id).sort();
    const found = await expectTold('reference');
    expect(found.blocks).toEqual([expect.objectContaining({ table: 'reference', block })]);
    expect(found.damaged.map((one) => one.reference_id).sort()).toEqual(names);
    expect([found.subjects, found.references]).toEqual([galleries.size, 2 * galleries.size - names.length]);
    await withStore(async (store) => {
      const { all, damaged } = await readAll(store);
      expect(idsOf(all)).toEqual([...galleries.keys()].sort());
      expect(damaged.map(({ referenceId }) => referenceId).sort()).toEqual(names);
      const quarantine = new Quarantine();
      await startGallery({
        switcher: { reload: () => Promise.resolve(true), index: undefined } as unknown as IndexSwitcher,
        follower: { advanceTo: () => Promise.resolve() } as unknown as ChangeFollower,
        headSequence: () => store.subjects.headSequence(),
        lookForLost: () => store.subjects.lookAhead(),
        quarantine,
        readiness: new Readiness(() => quarantine.count),
        log: createLogger('silent'),
      });
      expect(quarantine.count).toBe(names.length);
      const [one] = lost;
      expect((await store.subjects.get(one.subject_id))?.damaged).toContainEqual({
        referenceId: one.reference_id,
        subjectId: one.subject_id,
        reason: 'STORE_DAMAGED',
      });
    });
    const [, repaired] = await check({ repair: true });
    expect(repaired.damaged).toHaveLength(names.length);
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [] }]);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
    const whole = new Set(rows.filter((row) => row.block !== block).map((row) => row.subject_id));
    expect(idsOf((await withStore(readAll)).all)).toEqual([...whole].sort());
  });

  it('of references and of their index: a start does not destroy what the index still knows', async () => {
    await harm('reference', how);
    const before = (await check())[1].damaged;
    expect(before.length).toBeGreaterThan(0);
    await harm('reference_pkey', 'zeros');
    await withStore(async ({ subjects }) =>
      expect((await subjects.lookForLost()).references.length).toBeGreaterThan(0),
    );
    const [code, repaired] = await check({ repair: true });
    expect({ code, repaired }).toMatchObject({
      code: 7,
      repaired: { indexes_rebuilt: [{ index: 'reference_pkey', outcome: 'table-damaged' }] },
    });
    const who = (found: Report['damaged']) => [...new Set(found.map((one) => one.subject_id))].sort();
    expect(who((await check())[1].damaged)).toEqual(who(before));
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
  });

  it('of subjects: they are named with their remaining references, and counted', async () => {
    const rows = await sql<{ subject_id: string; block: number }>(
      url,
      'SELECT subject_id, (ctid::text::point)[0]::int AS block FROM subject',
    );
    const block = await harm('subject', how);
    const lost = rows.filter((row) => row.block === block).map((row) => row.subject_id);
    expect(lost.length).toBeGreaterThan(0);
    const found = await expectTold('subject');
    expect(found.damaged).toHaveLength(2 * lost.length);
    expect([...new Set(found.damaged.map((one) => one.subject_id))].sort()).toEqual(lost.sort());
    expect(found.subjects).toBe(galleries.size - lost.length);
    const exported = await run(() => exportToFile([join(dataDir, `${++count}.jsonl`)], { json: true }));
    expect(exported.code).toBe(4);
    await withStore(async (store) => {
      const { damaged } = await readAll(store);
      expect(new Set(damaged.map((one) => one.subjectId))).toEqual(new Set(lost));
      await expect(store.subjects.get(lost[0])).rejects.toMatchObject({ reason: 'SUBJECT_DAMAGED' });
    });
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [] }]);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
  });

  it('of memberships: an index names them, and their subjects stay in their galleries', async () => {
    await harm('gallery_membership', how);
    await expectTold('gallery_membership');
    const read = async () => {
      const { all } = await withStore(readAll);
      return new Map(all.map(({ subject }) => [subject.subjectId, subject.galleries.join()]));
    };
    expect(await read()).toEqual(galleries);
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [] }]);
    expect(await read()).toEqual(galleries);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
  });

  it.each(['enrolment_request', 'gallery', 'change', 'receipt', 'template_key', 'audit_record'])(
    'of the table %s is reported, and repaired for good',
    async (table) => {
      await harm(table, how);
      // The key file knows the keys, and a start may enter them again.
      if (table === 'template_key') expect(await check()).toMatchObject([7, { blocks: [{ table, block: 0 }] }]);
      else await expectTold(table);
      await check({ repair: true });
      expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [] }]);
      expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
      const { all } = await withStore(readAll);
      expect(idsOf(all)).toEqual([...galleries.keys()].sort());
      await withStore(async ({ subjects }) =>
        expect((await subjects.galleries()).sort()).toEqual([
          'gallery 0',
          'gallery 1',
          'gallery 2',
          'gallery 3',
          'gallery 4',
          'main',
        ]),
      );
    },
  );
});

describe('damage in more than one place', () => {
  it('of subjects and changes is removed in one run, and the changes have no hole', async () => {
    const [subjects, changes] = [await spoil('subject', 0), await spoil('change', 0)];
    const [code, found] = await check();
    expect({ code, blocks: found.blocks }).toMatchObject({
      code: 7,
      blocks: expect.arrayContaining([
        expect.objectContaining({ table: 'subject', block: subjects }),
        expect.objectContaining({ table: 'change', block: changes }),
      ]) as unknown,
    });
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [], missing_changes: 0 }]);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [], missing_changes: 0 }]);
  });

  it('is repaired by the next run when an earlier one has rewritten the changes, with no further loss', async () => {
    await spoil('subject', 0);
    await spoil('change', 0);
    await sql(`${url}?options=-c%20zero_damaged_pages%3Don`, 'VACUUM FULL change');
    const [, repaired] = await check({ repair: true });
    expect(repaired.obstacle).toBeUndefined();
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [], missing_changes: 0 }]);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [], missing_changes: 0 }]);
  });

  it('of the keys and their index is repaired in one run', async () => {
    await spoil('template_key', 0);
    await spoil('template_key_pkey', 1);
    expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
    expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [] }]);
  });
});

describe('a table that is lost as a whole', () => {
  it.each(['change', 'subject', 'reference', 'gallery_membership', 'enrolment_request'])(
    '(%s) is reported by all readers, and the store is usable once the damage is removed',
    async (table) => {
      await harm(table, 'cut off', 0);
      const [code, found] = await check();
      expect({ code, obstacle: found.obstacle }).toEqual({ code: 7, obstacle: undefined });
      expect(found.blocks.map((one) => one.table)).toContain(table);
      const [, repaired] = await check({ repair: true });
      // Lost changes are filled in; of the other tables nothing is removed unless it is requested.
      const left = table === 'change' ? 0 : found.blocks.length;
      expect([repaired.obstacle, repaired.blocks.length]).toEqual([undefined, left]);
      expect(await check(expungeAll)).toMatchObject([0, { damaged: [], blocks: [] }]);
      expect(await check()).toMatchObject([0, { damaged: [], blocks: [], indexes: [], missing_changes: 0 }]);
      const { all } = await withStore(readAll);
      expect(all.length).toBe(['subject', 'reference'].includes(table) ? 0 : galleries.size);
    },
  );
});
