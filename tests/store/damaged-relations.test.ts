/**
 * Every table, index, TOAST table and sequence of the schema is damaged block by block. The store opens or names the
 * damage, no subject with a readable row is lost, and after `store check` with its options nothing is damaged.
 */
import { readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { checkStore } from '../../src/cli/commands/store-check.ts';
import { Failure } from '../../src/failure.ts';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { openStore } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';
import { BLOCK, changeFile } from './relation-files.ts';
import { enrolment, faceReference } from './records.ts';

const SUBJECTS = 180;
/** Components of a face template that does not fit into a row. */
const LARGE = 2048;
const ORIGIN = 'origin';

interface Relation {
  readonly name: string;
  /** The table that the rows, index or TOAST values belong to. */
  readonly table: string;
  readonly kind: 'r' | 'i' | 't' | 'S';
  readonly blocks: number;
}

interface Report {
  readonly obstacle?: string;
  readonly blocks: readonly { readonly table: string; readonly block: number; readonly mended_by: string }[];
  readonly indexes: readonly { readonly index: string; readonly table: string }[];
  readonly damaged: readonly unknown[];
  readonly repaired?: readonly { readonly outcome: string }[];
  readonly tables_rewritten?: readonly { readonly table: string; readonly blocks: readonly number[] }[];
}

let dataDir: string;
let cluster: EmbeddedCluster;
let administrator: pg.Client;
let relations: Relation[];
/** Galleries by subject, as enrolled; and the blocks that hold the rows of the subjects and of their references. */
let galleries: ReadonlyMap<string, string>;
let places: readonly { readonly table: string; readonly block: number; readonly subject_id: string }[];
let count = 0;

const keys = () => new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });
const open = (databaseUrl: string) => openStore({ databaseUrl, dataDir, keys: keys(), log: () => undefined });
const urlOf = (database: string) => cluster.url.replace(/\/postgres$/, `/${database}`);

beforeAll(async () => {
  dataDir = temporaryDirectory();
  await keys().create();
  cluster = await startEmbeddedCluster(dataDir, () => undefined);
  administrator = new pg.Client({ connectionString: cluster.url });
  await administrator.connect();
  await administrator.query(`CREATE DATABASE ${ORIGIN}`);
  const store = await open(urlOf(ORIGIN));
  const made = Array.from({ length: SUBJECTS }, (_, i) => ({
    ...enrolment({ externalId: `external ${i}`, galleries: ['main', `gallery ${i % 5}`] }, `request ${i}`),
    references: [faceReference(i % 60 === 0 ? LARGE : 400, 'first'), faceReference(400, 'second')],
  }));
  const { subjects, imports } = store;
  await subjects.enrollMany(made);
  for (const { subject } of made.slice(0, 5)) await subjects.expunge(subject.subjectId, 'test', () => 'r'.repeat(100));
  for (const { subject } of made.slice(5, 10))
    await subjects.update(subject.subjectId, 1, { caveats: ['x'] }, undefined);
  const digest = Buffer.alloc(32, 7);
  await imports.begin(digest);
  const refused = { record: 1, reason: 'R', message: 'm', field: '', contributor: '', externalId: '' };
  const step = { from: 0, to: 9, records: 1, enrolments: [], refused: [refused], refusalOf: () => refused };
  await imports.take(digest, step);
  await store.close();
  const client = new pg.Client({ connectionString: urlOf(ORIGIN) });
  await client.connect();
  ({ rows: relations } = await client.query<Relation>(
    `SELECT c.oid::regclass::text AS name, coalesce(it.relname, t.relname, st.relname, i.indrelid::regclass::text, c.relname) AS "table",
       c.relkind AS kind, (pg_relation_size(c.oid) / ${BLOCK})::int AS blocks
     FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_class t ON t.reltoastrelid = c.oid
       LEFT JOIN pg_class it ON it.reltoastrelid = i.indrelid
       LEFT JOIN pg_depend d ON d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
       LEFT JOIN pg_class st ON st.oid = d.refobjid
     WHERE c.relkind IN ('r', 'i', 't', 'S') AND coalesce(it.relnamespace, t.relnamespace, c.relnamespace) = 'public'::regnamespace
       AND pg_relation_size(c.oid) > 0 ORDER BY 1`,
  ));
  ({ rows: places } = await client.query<(typeof places)[number]>(
    `SELECT 'subject' AS "table", (ctid::text::point)[0]::int AS block, subject_id FROM subject
     UNION ALL SELECT 'reference', (ctid::text::point)[0]::int, subject_id FROM reference`,
  ));
  await client.end();
  galleries = new Map(made.slice(5).map(({ subject }) => [subject.subjectId, [...subject.galleries].sort().join()]));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await administrator.end();
  await cluster.stop();
});

/** @returns the URL of a copy of the store */
async function copy(): Promise<string> {
  const name = `copy_${++count}`;
  await administrator.query(`CREATE DATABASE ${name} TEMPLATE ${ORIGIN} STRATEGY FILE_COPY`);
  return urlOf(name);
}

/** Overwrites bytes of a block on disk. A rebuilt index may have fewer blocks. */
function damage(url: string, { name }: Relation, block: number): Promise<void> {
  return changeFile(url, cluster.directory, name, (file, blocks) => {
    const at = Math.min(block, blocks - 1) * BLOCK + 100;
    const bytes = Buffer.alloc(64);
    readSync(file, bytes, 0, 64, at);
    bytes.forEach((byte, i) => (bytes[i] = byte ^ 0xa5));
    writeSync(file, bytes, 0, 64, at);
  });
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

/** Starts as a service does. @returns galleries by subject and the number of references, or the error message */
async function start(url: string): Promise<{ read: Map<string, string>; references: number } | string> {
  try {
    const store = await open(url);
    const read = new Map<string, string>();
    let references = 0;
    try {
      await store.subjects.snapshot((batch) => {
        for (const { subject, references: own } of batch) {
          read.set(subject.subjectId, subject.galleries.join());
          references += own.length;
        }
        return Promise.resolve();
      }, 50);
      await store.subjects.galleries();
    } finally {
      await store.close();
    }
    return { read, references };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.message;
  }
}

/** Subjects that must survive the loss of a block: all except those with rows in this block only. */
function survivors({ table, kind }: Relation, block: number): string[] {
  const all = [...galleries.keys()];
  if (kind !== 'r' || (table !== 'subject' && table !== 'reference')) return all.sort();
  const own = (id: string) => places.filter((place) => place.table === table && place.subject_id === id);
  return all.filter((id) => own(id).some((place) => place.block !== block)).sort();
}

/**
 * A damaged index loses no data: one copy serves all of them. A start repairs it, or the command. What it should have
 * repaired and has not is found by the check of the next one.
 */
async function damageIndex(url: string, relation: Relation, block: number): Promise<void> {
  const { table, name, kind } = relation;
  await damage(url, relation, block);
  const [code, found] = await check(url);
  const named =
    kind === 'i'
      ? found.indexes.some((one) => one.index === name || (block === 0 && one.table === table))
      : found.blocks.some((one) => one.table === table && one.mended_by === 'repair');
  const others = [...found.indexes, ...found.blocks].filter((one) => one.table !== table);
  expect({ code, named, others, found }).toEqual({ code: 7, named: true, others: [], found });
  if (kind === 'S' || block === 0) expect(await check(url, { repair: true })).toMatchObject([0, { damaged: [] }]);
  const started = await start(url);
  expect(started).toEqual({ read: galleries, references: 2 * galleries.size });
}

async function damageTable(relation: Relation, block: number): Promise<void> {
  const { table } = relation;
  const url = await copy();
  await damage(url, relation, block);
  const kept = survivors(relation, block);
  const [code, found] = await check(url);
  expect({ code, found }).toMatchObject({ code: 7, found: { indexes: [], blocks: [{ table, block }] } });

  const started = await start(url);
  if (typeof started === 'string') {
    expect(started).toMatch(/(table|index|sequence) \w+.*store check/);
    expect(['change_counter', 'migration', 'template_key']).toContain(table);
    expect(found.obstacle).toMatch(/^The store does not open: Block \d+ of the table \w+ is damaged\.$/);
  } else {
    // A subject whose references are lost remains, until it is expunged explicitly.
    const isThere = relation.name === 'subject' ? kept : [...galleries.keys()].sort();
    expect([...started.read.keys()].sort()).toEqual(isThere);
    // An index still holds the unreadable memberships.
    if (table === 'gallery_membership') expect(started.read).toEqual(galleries);
  }

  const [, repaired] = await check(url, { repair: true });
  expect([repaired.indexes, repaired.obstacle]).toEqual([[], undefined]);
  if (found.blocks.some((one) => one.mended_by === 'expunge')) {
    const order = { expunge: true, yes: true, expungeAtMost: galleries.size - kept.length };
    expect(await check(url, order)).toMatchObject([0, { tables_rewritten: [{ table, blocks: [block] }] }]);
  }
  const [after, clean] = await check(url);
  expect({ after, clean }).toEqual({ after: 0, clean });
  const restarted = await start(url);
  if (typeof restarted === 'string') throw new Error(restarted);
  expect([...restarted.read].sort()).toEqual(kept.map((id) => [id, galleries.get(id)]));
}

/** Runs the work for the first and last block of each relation, and reports which of them failed. */
async function forEachBlock(
  kinds: readonly Relation['kind'][],
  work: (relation: Relation, block: number) => Promise<void>,
): Promise<void> {
  const faults: string[] = [];
  const some = relations.filter(({ kind }) => kinds.includes(kind));
  expect(new Set(some.map(({ kind }) => kind))).toEqual(new Set(kinds));
  for (const relation of some)
    for (const block of new Set([0, relation.blocks - 1]))
      await work(relation, block).catch((error: unknown) =>
        faults.push(`${relation.name}, block ${block}: ${String(error)}`),
      );
  expect(faults).toEqual([]);
}

describe('a damaged block', () => {
  it('of every index and sequence is named and repaired, and no subject is lost', async () => {
    const url = await copy();
    await forEachBlock(['i', 'S'], (relation, block) => damageIndex(url, relation, block));
    expect(await check(url)).toMatchObject([0, { damaged: [], indexes: [], blocks: [] }]);
  }, 600_000);

  it('of every table is named and repaired, and no subject with a readable row is lost', async () => {
    await forEachBlock(['r', 't'], damageTable);
  }, 600_000);
});
