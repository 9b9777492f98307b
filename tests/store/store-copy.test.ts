/** A backup contains the whole store, and exists either complete or not at all. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { backUp, restore } from '../../src/transfer/backup.ts';
import { BlockFileWriter } from '../../src/files/block-file.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import type { Keys } from '../../src/security/keys.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { readTables } from '../../src/store/tables.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { enrolment } from './records.ts';

const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
const EXTRA = `CREATE TABLE aardvark (subject_id uuid REFERENCES subject, "odd name" text);
  CREATE TABLE "Zebra ""x""" (id int PRIMARY KEY);
  ALTER TABLE template_key ADD COLUMN zebra int REFERENCES "Zebra ""x"""`;

const CLIENT = `INSERT INTO agency VALUES ('local', 'LOCAL');
  INSERT INTO client (client_id, kind, agency, roles, purposes, clearance, create_time, created_by, mac)
    VALUES ('administrator', 'person', 'local', '{administrator}', '{none}', 0, now(), 'test', '');
  INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, create_time, created_by)
    VALUES (gen_random_uuid(), 'administrator', 'token', sha256('x'), now(), 'test')`;

let cluster: TestCluster;
let keys: Keys;
let source: { readonly store: Store; readonly database: pg.Client };
let file: string;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  keys = temporaryKeys();
  file = join(temporaryDirectory(), 'backup.rwb');
  source = await open();
  const made = [enrolment({}, 'request-1'), enrolment({ externalId: 'x' }), enrolment()];
  await source.store.subjects.enrollMany(made, undefined, { clientId: 'c', agency: 'a' });
  await source.store.subjects.expunge(made[2].subject.subjectId, 'test', () => '{}');
  await source.database.query(
    `INSERT INTO agency VALUES ('a', 'A');
     INSERT INTO client (client_id, kind, agency, roles, purposes, clearance, create_time, created_by, mac)
       VALUES ('c', 'machine', 'a', '{}', '{}', 0, now(), 'c', '');
     INSERT INTO client_credential (credential_id, client_id, kind, fingerprint, create_time, created_by)
       VALUES (gen_random_uuid(), 'c', 'token', sha256(''), now(), 'c')`,
  );
  await source.database.query("INSERT INTO import (digest, byte_offset, refused_count) VALUES ('\\x01', 17, 1)");
  await source.database.query(CLIENT);
  await source.database.query(
    `INSERT INTO audit_record (writer, seq, at, kind, subjects, entry, hash)
     VALUES (gen_random_uuid(), 1, now(), 'call', '{}', '{}', sha256(''))`,
  );
  // Two hits whose audit records come in another order than their numbers: these must stay as they are.
  for (const digit of ['f', '0']) await hit(source.database, digit);
  await source.database.query("INSERT INTO hit_cursor VALUES ('agency', 'client', 1, now())");
  await source.database.query(
    `INSERT INTO expunge_proposal VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'agency', 'client', 'reason', now(), now(),
       sha256(''), 'key')`,
  );
  await source.database.query(
    `INSERT INTO review_case VALUES (gen_random_uuid(), 'agency', 'open', now(), now(), NULL, '{}', '\\x01', '\\x02', 'key',
       NULL, sha256(''), 'key')`,
  );
  await source.database.query("INSERT INTO case_step VALUES (gen_random_uuid(), 0, '{}')");
  await source.database.query("INSERT INTO import_refusal VALUES ('\\x01', 1, 'R', repeat('m', 9000), 'f', 'c', 'e')");
});

async function open() {
  const url = await cluster.createDatabase();
  const store = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  const database = new pg.Client({ connectionString: url });
  await database.connect();
  closing.push(() => Promise.all([database.end(), store.close()]));
  return { store, database };
}
const closing: (() => Promise<unknown>)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

/** Adds a hit of the agency `agency`. @param digit - of the writer of its audit record */
async function hit(database: pg.Client, digit: string): Promise<void> {
  await database.query(
    `INSERT INTO audit_record (writer, seq, at, kind, agency, subjects, entry, hash)
     VALUES (repeat($1, 32)::uuid, 1, now(), 'hit', 'agency', '{}', json_build_object('hits', json_build_array(
       json_build_object('hit_id', gen_random_uuid(), 'subject_id', gen_random_uuid()))), decode(repeat('00', 32), 'hex'))`,
    [digit],
  );
}

/** A digest of the rows of each table, except the migrations. */
async function contentOf(database: pg.Client): Promise<Record<string, string>> {
  const { rows } = await database.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
       -- Filling the clients makes their version grow, as every change does; the numbers of hits go on far behind.
       AND table_name NOT IN ('migration', 'client_version', 'hit_counter')`,
  );
  const content: Record<string, string> = {};
  for (const { name } of rows) {
    const { rows: lines } = await database.query<{ line: string }>(
      `SELECT t::text AS line FROM ${pg.escapeIdentifier(name)} t ORDER BY 1`,
    );
    content[name] = createHash('sha256')
      .update(lines.map(({ line }) => line).join('\n'))
      .digest('hex');
    if (lines.length === 0) content[name] = 'empty';
  }
  return content;
}

describe('a copy of the store', () => {
  it('contains every table of the schema and restores each', async () => {
    const target = await open();
    await backUp(source.store.copy, keys, file, () => undefined);
    await restore(target.store.copy, keys, file, () => undefined);
    const content = await contentOf(source.database);
    expect(Object.values(content)).not.toContain('empty');
    expect(await contentOf(target.database)).toEqual(content);
    expect([...Object.keys(content), 'client_version', 'hit_counter'].sort()).toEqual(
      (await readTables(source.database)).sort(),
    );
  });

  it('is restored so that no new hit has a number that a lost one may have had', async () => {
    const target = await open();
    await backUp(source.store.copy, keys, file, () => undefined);
    // After the backup: its reader knows the number 3, and goes on behind it.
    await hit(source.database, 'e');
    await restore(target.store.copy, keys, file, () => undefined);
    await hit(target.database, 'd');
    const { hits } = target.store;
    const known = await hits.hitsAfter('agency', 0, 10);
    expect(known.map(({ position }) => position)).toEqual([1, 2, 1_000_000_003]);
    expect(await hits.hitsAfter('agency', 3, 10)).toEqual(known.slice(2));
    expect(await hits.lastPosition('agency')).toBe(1_000_000_003);
  });

  it('is restored with rows that are damaged, and as damaged', async () => {
    const target = await open();
    const filter = { gallery: undefined, contributor: undefined, limit: 9, afterSubjectId: undefined };
    const before = (await source.store.subjects.list(filter)).map(({ subject }) => subject.subjectId);
    await source.database.query('ALTER TABLE subject DROP CONSTRAINT subject_is_signed');
    await source.database.query('UPDATE subject SET mac = NULL WHERE subject_id = $1', [before[0]]);
    await backUp(source.store.copy, keys, file, () => undefined);
    await restore(target.store.copy, keys, file, () => undefined);
    const { subjects, unreadable } = await target.store.subjects.readSubjects(before);
    expect(subjects.map(({ subject }) => subject.subjectId)).toEqual(before.slice(1));
    expect(unreadable.map(({ subjectId, reason }) => [subjectId, reason])).toEqual([[before[0], 'ROW_UNSIGNED']]);
    await expect(target.database.query('UPDATE subject SET mac = NULL')).rejects.toThrow('subject_is_signed');
  });

  it('contains tables that were added later, in an order that their foreign keys allow', async () => {
    const target = await open();
    for (const { database } of [source, target]) await database.query(EXTRA);
    await source.database.query('INSERT INTO "Zebra ""x""" VALUES (1); UPDATE template_key SET zebra = 1');
    await source.database.query('INSERT INTO aardvark SELECT subject_id, NULL FROM subject');
    await backUp(source.store.copy, keys, file, () => undefined);
    await restore(target.store.copy, keys, file, () => undefined);
    expect(await contentOf(target.database)).toEqual(await contentOf(source.database));
  });

  it('with a table that the store does not have is refused, and changes nothing', async () => {
    const target = await open();
    await source.database.query(EXTRA);
    await backUp(source.store.copy, keys, file, () => undefined);
    const before = await contentOf(target.database);
    await expect(restore(target.store.copy, keys, file, () => undefined)).rejects.toThrow(
      expect.objectContaining({
        reason: 'SCHEMA_DIFFERS',
        message: expect.stringContaining('Zebra') as string,
      }) as Error,
    );
    expect(await contentOf(target.database)).toEqual(before);
  });

  it('of the first format, without import tables, is restored as before', async () => {
    const handle = await openFile(file, 'wx');
    const sealer = sealersOf(keys, 'backup')(keys.ring.currentId);
    const writer = await BlockFileWriter.begin(handle, 'backup', { sealer, context: 'backup 1' });
    await source.store.copy.dump(
      ({ schema, sequence, state }) =>
        writer.append(Buffer.from(JSON.stringify({ format: 1, schema, sequence, state }))),
      async (table, bytes) => {
        if (!table.startsWith('import')) await writer.append(Buffer.concat([Buffer.from(`${table}\n`), bytes]));
      },
    );
    await writer.finish();
    const target = await open();
    await restore(target.store.copy, keys, file, () => undefined);
    const { import: states, import_refusal: refusals, ...content } = await contentOf(target.database);
    expect([states, refusals]).toEqual(['empty', 'empty']);
    expect(await contentOf(source.database)).toMatchObject(content);
  });

  it.skipIf(!isRoot)(
    'that does not fit on the disk leaves nothing that blocks the next one (needs root on Linux)',
    async () => {
      const mount = join(temporaryDirectory(), 'small');
      mkdirSync(mount);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', mount]);
      try {
        const small = join(mount, 'backup.rwb');
        const unwritable = expect.objectContaining({ reason: 'OUTPUT_UNWRITABLE' }) as Error;
        await expect(backUp(source.store.copy, keys, small, () => undefined)).rejects.toThrow(unwritable);
        expect(readdirSync(mount)).toEqual([]);
        writeFileSync(join(mount, 'full'), Buffer.alloc(4096));
        await expect(backUp(source.store.copy, keys, small, () => undefined)).rejects.toThrow(unwritable);
        expect(readdirSync(mount)).toEqual(['full']);
        execFileSync('mount', ['-o', 'remount,size=1m', mount]);
        // The draft of a killed backup blocks no other.
        writeFileSync(join(mount, `backup.rwb.${process.pid}.new`), '');
        const { bytes } = await backUp(source.store.copy, keys, small, () => undefined);
        expect(readFileSync(small)).toHaveLength(bytes);
      } finally {
        execFileSync('umount', [mount]);
      }
    },
  );
});
