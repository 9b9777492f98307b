/**
 * Database files changed while the database is down: rows outside the damaged block are read, rows inside are named.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import type { DamagedReference, SubjectWithReferences } from '../../src/store/records.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';
import { enrolment, reference } from './records.ts';

const BLOCK = 8192;
let dataDir: string;
let store: Store | undefined;
let enrolled: { readonly subjectId: string; readonly references: readonly string[] }[];
/** Files of the tables, and of the references' TOAST table. */
let files: ReadonlyMap<string, string>;
/** Ids of the references in the damaged block. */
let inBlock: string[];
const DAMAGED_BLOCK = 2;
const template = Uint8Array.from({ length: 400 }, (_, i) => (i * 7919) & 255);
const large = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255);
const keysOf = () => new Keys({ keyFile: join(dataDir, 'keys.json'), dataDir });

async function open(): Promise<Store> {
  return (store = await openStore({ databaseUrl: undefined, dataDir, keys: keysOf(), log: () => undefined }));
}

async function close(): Promise<void> {
  await store?.close();
  store = undefined;
}

beforeEach(async () => {
  dataDir = temporaryDirectory();
  await keysOf().create();
  const cluster = await startEmbeddedCluster(dataDir, () => undefined);
  const client = new pg.Client({ connectionString: cluster.url });
  const opened = await openStore({ databaseUrl: cluster.url, dataDir, keys: keysOf(), log: () => undefined });
  try {
    const made = Array.from({ length: 60 }, (_, i) => ({
      ...enrolment(),
      references: [reference({ template: i === 59 ? large : template }), reference({ template, fingerPosition: 3 })],
    }));
    await opened.subjects.enrollMany(made);
    enrolled = made.map((one) => ({
      subjectId: one.subject.subjectId,
      references: one.references.map(({ referenceId }) => referenceId),
    }));
    await client.connect();
    const { rows: paths } = await client.query<{ name: string; path: string }>(
      `SELECT relname AS name, pg_relation_filepath(oid) AS path FROM pg_class WHERE relname IN ('reference', 'subject')
       UNION SELECT 'toast', pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'reference'`,
    );
    files = new Map(paths.map(({ name, path }) => [name, join(cluster.directory, path)]));
    const { rows: ids } = await client.query<{ id: string }>(
      `SELECT reference_id AS id FROM reference
       WHERE ctid >= '(${DAMAGED_BLOCK},0)' AND ctid < '(${DAMAGED_BLOCK + 1},0)' ORDER BY reference_id`,
    );
    inBlock = ids.map(({ id }) => id);
  } finally {
    await client.end();
    await opened.close();
    await cluster.stop();
  }
});
afterEach(close);

/** Changes a block of a table's file while the database is down. */
function damage(table: string, block: number, change: (bytes: Buffer) => void): void {
  const file = openSync(files.get(table) ?? '', 'r+');
  try {
    const bytes = Buffer.alloc(BLOCK);
    readSync(file, bytes, 0, BLOCK, block * BLOCK);
    change(bytes);
    writeSync(file, bytes, 0, BLOCK, block * BLOCK);
  } finally {
    closeSync(file);
  }
}

async function readAll({ subjects }: Store) {
  const [all, damaged]: [SubjectWithReferences[], DamagedReference[]] = [[], []];
  await subjects.snapshot((batch, _, unreadable = []) => {
    all.push(...batch);
    damaged.push(...unreadable, ...batch.flatMap((one) => one.damaged ?? []));
    return Promise.resolve();
  }, 20);
  const whole = all.flatMap(({ references }) => references.map(({ referenceId }) => referenceId)).sort();
  return { all, whole, damaged: damaged.map(({ referenceId }) => referenceId).sort() };
}

const flipped = (bytes: Buffer) => void (bytes[BLOCK - 100] ^= 1);
const garbage = (bytes: Buffer) => void bytes.fill(0xa5);

describe('a block of the reference table', () => {
  it.each([
    ['with a flipped bit', flipped],
    ['of garbage', garbage],
  ])('%s is bypassed, its references are named, and store check repairs it', async (_, change) => {
    const lost = inBlock;
    expect(lost.length).toBeGreaterThan(3);
    damage('reference', DAMAGED_BLOCK, change);
    const opened = await open();
    const every = enrolled.flatMap(({ references }) => references);
    const { all, whole, damaged } = await readAll(opened);
    expect(damaged).toEqual(lost);
    expect(whole).toEqual(every.filter((id) => !lost.includes(id)).sort());
    expect(all).toHaveLength(enrolled.length);

    // A read by id distinguishes a damaged reference from a deleted one.
    const hit = enrolled.filter(({ references }) => references.some((id) => lost.includes(id)));
    const read = await opened.subjects.readSubjects(hit.map(({ subjectId }) => subjectId));
    expect(read.subjects.flatMap((one) => (one.damaged ?? []).map(({ referenceId }) => referenceId)).sort()).toEqual(
      lost,
    );

    // A rotation continues past the block and reports it. A backup would lack the block, and is refused.
    await opened.templateKeys.rotate(new Date());
    const rotated = await opened.templateKeys.sealAll('all', () => undefined);
    expect(rotated.sealed).toBe(every.length - lost.length);
    expect(rotated.damaged.length).toBeGreaterThan(0);
    await expect(
      opened.copy.dump(
        () => Promise.resolve(),
        () => Promise.resolve(),
      ),
    ).rejects.toMatchObject({
      reason: 'STORE_DAMAGED',
    });
    // Enrolments continue meanwhile.
    const late = enrolment();
    await opened.subjects.enroll(late.subject, late.references);

    const blocks = await opened.repair.damagedBlocks();
    expect(blocks).toEqual([{ table: 'reference', block: DAMAGED_BLOCK, mend: 'expunge' }]);
    const found = read.subjects.flatMap((one) => one.damaged ?? []);
    await opened.repair.removeAll(found, 'test', hit.length, () => '{}');
    await opened.repair.rewrite(blocks, 'after', [], 'test');
    expect(await opened.repair.damagedBlocks()).toEqual([]);
    const after = await readAll(opened);
    expect(after.damaged).toEqual([]);
    const left = every.filter((id) => !lost.includes(id));
    expect(after.whole).toEqual([...left, late.references[0].referenceId].sort());
    const emptied = enrolled.filter(({ references }) => references.every((id) => lost.includes(id)));
    expect(after.all).toHaveLength(enrolled.length - emptied.length + 1);
    const changes = await opened.subjects.readChanges(enrolled.length + 1, 1000);
    expect(
      changes
        .filter(({ kind }) => kind === 'expunge')
        .map(({ subjectId }) => subjectId)
        .sort(),
    ).toEqual(emptied.map(({ subjectId }) => subjectId).sort());
    await close();
    expect((await readAll(await open())).whole).toEqual(after.whole);
  });
});

describe('a block of the subject table', () => {
  it.each([
    ['with a flipped bit', flipped],
    ['of garbage', garbage],
  ])('%s hides only its own subjects, names their references, and is repaired', async (_, change) => {
    damage('subject', 0, change);
    const opened = await open();
    const { all, damaged } = await readAll(opened);
    const present = new Set(all.map(({ subject }) => subject.subjectId));
    const lost = enrolled.filter(({ subjectId }) => !present.has(subjectId));
    expect(lost.length).toBeGreaterThan(0);
    expect(damaged).toEqual(lost.flatMap(({ references }) => references).sort());
    const read = await opened.subjects.readSubjects([lost[0].subjectId]);
    expect(read.subjects).toEqual([]);
    expect(read.unreadable.map(({ referenceId }) => referenceId).sort()).toEqual([...lost[0].references].sort());
    const blocks = await opened.repair.damagedBlocks();
    const found = lost.flatMap(({ subjectId, references }) =>
      references.map((referenceId) => ({ referenceId, subjectId, reason: 'SUBJECT_DAMAGED' })),
    );
    // Either all subjects are removed or none.
    const remove = (most: number) => opened.repair.removeAll(found, 'test', most, () => '{}');
    await expect(remove(lost.length - 1)).rejects.toMatchObject({ reason: 'TOO_MANY_EXPUNGED' });
    expect((await remove(lost.length)).map(({ isExpunged }) => isExpunged)).toEqual(lost.map(() => true));
    await opened.repair.rewrite(blocks, 'after', [], 'test');
    expect(await opened.repair.damagedBlocks()).toEqual([]);
    const after = await readAll(opened);
    expect([after.damaged, after.all.length]).toEqual([[], enrolled.length - lost.length]);
  });
});

describe('a damaged template in the TOAST table', () => {
  it('affects a single reference, and is named', async () => {
    damage('toast', 1, flipped);
    const opened = await open();
    const { subjectId, references } = enrolled[59];
    const { damaged, whole } = await readAll(opened);
    expect(damaged).toEqual([references[0]]);
    expect(whole).toContain(references[1]);
    const blocks = await opened.repair.damagedBlocks();
    expect(blocks).toEqual([{ table: 'reference', block: 1, mend: 'expunge' }]);
    const [found] = (await opened.subjects.readSubjects([subjectId])).subjects;
    const [repaired] = await opened.repair.removeAll(found.damaged ?? [], 'test', 0, () => '{}');
    expect(repaired).toMatchObject({ isExpunged: false, referencesRemoved: 1 });
    await opened.repair.rewrite(blocks, 'after', [], 'test');
    expect([(await readAll(opened)).damaged, await opened.repair.damagedBlocks()]).toEqual([[], []]);
  });
});
