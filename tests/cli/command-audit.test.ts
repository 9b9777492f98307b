/** Commands on the store leave records of their beginning and end, and do nothing that cannot be recorded. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { verifyRecords } from '../../src/cli/commands/audit.ts';
import { backup } from '../../src/cli/commands/backup.ts';
import { exportToFile } from '../../src/cli/commands/export.ts';
import { importRecords } from '../../src/cli/commands/import.ts';
import { build } from '../../src/cli/commands/index-building.ts';
import { forgetKey, rotateKeys } from '../../src/cli/commands/keys.ts';
import { checkStore } from '../../src/cli/commands/store-check.ts';
import { Keys } from '../../src/security/keys.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { temporaryDirectory } from '../cluster.ts';
import { BLOCK, changeFile } from '../store/relation-files.ts';
import { fileOf, lineOf, record } from '../transfer/import/record-files.ts';

let directory: string;
let cluster: EmbeddedCluster;
let administrator: pg.Client;
let count = 0;

beforeAll(async () => {
  directory = temporaryDirectory();
  cluster = await startEmbeddedCluster(directory, () => undefined);
  administrator = new pg.Client({ connectionString: cluster.url });
  await administrator.connect();
});
afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await administrator.end();
  await cluster.stop();
});

interface Place {
  readonly url: string;
  readonly dataDir: string;
}

/** An empty database, and a data directory with keys. */
async function newPlace(): Promise<Place> {
  const name = `commands_${++count}`;
  await administrator.query(`CREATE DATABASE ${name}`);
  const dataDir = temporaryDirectory();
  await new Keys({ keyFile: undefined, dataDir }).create();
  return { url: cluster.url.replace(/\/postgres$/, `/${name}`), dataDir };
}

interface Run {
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly out: string;
}

/** Runs a command in this process. */
async function run(place: Place, command: () => Promise<number>): Promise<Run> {
  vi.stubEnv('DATABASE_URL', place.url);
  vi.stubEnv('RIDGEWATCH_DATA_DIR', place.dataDir);
  vi.stubEnv('RIDGEWATCH_WORKERS', '1');
  const written: string[] = [];
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const complain = vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    const code = await command();
    return { code, reason: undefined, out: written.join('') };
  } catch (error) {
    return { code: undefined, reason: (error as { reason?: string }).reason, out: written.join('') };
  } finally {
    write.mockRestore();
    complain.mockRestore();
  }
}

async function query<Row extends pg.QueryResultRow>({ url }: Place, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** What commands recorded, in order. */
async function recordsOf(place: Place): Promise<AuditRecord[]> {
  const sql = "SELECT entry FROM audit_record WHERE kind = 'administration' ORDER BY writer, seq";
  return (await query<{ entry: string }>(place, sql)).map(({ entry }) => JSON.parse(entry) as AuditRecord);
}

const digestOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
const people = () => fileOf('people.ndjson', Buffer.concat([record(1), record(2)].map(lineOf)));
const indexDirOf = ({ dataDir }: Place) => join(dataDir, 'indexes');

describe('commands on the store', () => {
  it('record who ran them, what they read or changed, and how they ended', async () => {
    const place = await newPlace();
    const [file, copy, out] = [people(), join(place.dataDir, 'a.rwb'), join(place.dataDir, 'a.ndjson')];
    const options = { json: true, indexDir: indexDirOf(place) };
    const first = new Keys({ keyFile: undefined, dataDir: place.dataDir });
    first.readIfThere();
    const old = first.ring.currentId;
    for (const command of [
      () => importRecords([file], options),
      () => backup([copy], options),
      () => exportToFile([out], options),
      () => build([], { ...options, reuse: true, address: '127.0.0.1:1', timeout: 1 }),
      () => rotateKeys([], options),
      () => forgetKey([old], { ...options, yes: true }),
      () => checkStore([], { ...options, repair: true }),
    ])
      expect(await run(place, command)).toMatchObject({ code: 0, reason: undefined });
    const records = await recordsOf(place);
    const begun = (method: string, facts: object) => ({ method, outcome: 'OK', facts: { ...facts, stage: 'begin' } });
    const ended = (method: string, facts: object) => ({ method, outcome: 'OK', facts: { ...facts, stage: 'end' } });
    const imported = { file_digest: digestOf(file) };
    const exported = { subject_count: 2, reference_count: 6, file_digest: digestOf(out) };
    expect(records).toMatchObject([
      begun('ridgewatch import', imported),
      ended('ridgewatch import', { ...imported, record_count: 2, subject_count: 2, refused_count: 0 }),
      begun('ridgewatch backup', { key: old }),
      ended('ridgewatch backup', { file_digest: digestOf(copy), gallery_version: 2 }),
      begun('ridgewatch export', {}),
      ended('ridgewatch export', exported),
      begun('ridgewatch index build', { publish: false }),
      ended('ridgewatch index build', { subject_count: 2, reference_count: 6 }),
      begun('ridgewatch keys rotate', { new_key: true }),
      ended('ridgewatch keys rotate', { template_count: 6, damaged_count: 0 }),
      begun('ridgewatch keys forget', { key: old }),
      ended('ridgewatch keys forget', { key: old }),
      begun('ridgewatch store check', { mode: 'repair' }),
      ended('ridgewatch store check', { mode: 'repair', expunged_subjects: 0 }),
    ]);
    for (const one of records)
      expect(one).toMatchObject({ client_id: 'local', facts: { os_user: userInfo().username } });
    // Nothing about a person, and no name of a file.
    expect(JSON.stringify(records)).not.toMatch(/person-1|people\.ndjson|watchlist/);
    const verified = await run(place, () => verifyRecords([], { json: true }));
    expect([verified.code, JSON.parse(verified.out)]).toMatchObject([0, { verified: true, writers: 7 }]);
  });

  it('record that they failed, and why', async () => {
    const place = await newPlace();
    const damaged = fileOf('damaged.binpb', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    expect(await run(place, () => importRecords([damaged], {}))).toMatchObject({ reason: 'IMPORT_FILE_DAMAGED' });
    expect(await recordsOf(place)).toMatchObject([
      { method: 'ridgewatch import', facts: { stage: 'begin' } },
      { method: 'ridgewatch import', reason: 'IMPORT_FILE_DAMAGED', facts: { stage: 'end' } },
    ]);
  });

  it('do nothing where they cannot be recorded', async () => {
    const place = await newPlace();
    const options = { json: true, indexDir: indexDirOf(place) };
    expect(await run(place, () => importRecords([people()], options))).toMatchObject({ code: 0 });
    const before = readFileSync(join(place.dataDir, 'keys.json'), 'utf8');
    const spool = join(place.dataDir, 'audit-spool');
    rmSync(spool, { recursive: true });
    writeFileSync(spool, 'in the way');
    const copy = join(place.dataDir, 'b.rwb');
    const more = fileOf('more.ndjson', lineOf(record(3)));
    for (const command of [
      () => importRecords([more], options),
      () => backup([copy], options),
      () => build([], { ...options, reuse: true, address: '127.0.0.1:1', timeout: 1 }),
      () => rotateKeys([], options),
      () => checkStore([], { ...options, expunge: true, yes: true }),
    ])
      expect(await run(place, command)).toMatchObject({ code: undefined, reason: 'AUDIT_SPOOL_UNWRITABLE' });
    expect(existsSync(copy)).toBe(false);
    expect(readFileSync(join(place.dataDir, 'keys.json'), 'utf8')).toBe(before);
    expect(await query(place, 'SELECT count(*)::int AS count FROM subject')).toEqual([{ count: 2 }]);
  });

  it('mend the audit itself, and are recorded as soon as it takes records again', async () => {
    const place = await newPlace();
    expect(await run(place, () => importRecords([people()], {}))).toMatchObject({ code: 0 });
    await changeFile(place.url, join(directory, 'postgres'), 'audit_record', (file, blocks) => {
      expect(blocks).toBeGreaterThan(0);
      writeSync(file, Buffer.alloc(BLOCK, 0xa5), 0, BLOCK, 0);
    });
    const options = { json: true, indexDir: indexDirOf(place), expunge: true, yes: true };
    expect(await run(place, () => backup([join(place.dataDir, 'c.rwb')], {}))).toMatchObject({
      reason: 'STORE_DAMAGED',
    });
    expect(await run(place, () => checkStore([], options))).toMatchObject({ code: 0 });
    expect(await recordsOf(place)).toMatchObject([
      {
        method: 'ridgewatch store check',
        facts: { stage: 'end', mode: 'expunge', recorded_late: true, rewritten_tables: 'audit_record' },
      },
    ]);
  });
});
