/**
 * A data directory that has lost its database, or a part of it: no other database takes its place, and nothing is
 * removed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Keys } from '../../src/security/keys.ts';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { asStoreFailure } from '../../src/store/store-failure.ts';
import { openStore, type StoreMode } from '../../src/store/store.ts';
import { temporaryDirectory } from '../cluster.ts';

/** A data directory with a stopped database that holds data. */
let origin: string;
let dataDir = temporaryDirectory();
const clusters: EmbeddedCluster[] = [];

const silent = () => undefined;

beforeAll(async () => {
  origin = temporaryDirectory();
  const cluster = await startEmbeddedCluster(origin, silent);
  const client = new pg.Client({ connectionString: cluster.url });
  await client.connect();
  await client.query('CREATE TABLE kept AS SELECT 42 AS answer');
  await client.end();
  await cluster.stop();
});
afterAll(() => rmSync(origin, { recursive: true }));
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Copies the data directory, with the owners of its files. @returns the directory of the database */
function copy(): string {
  dataDir = temporaryDirectory();
  execFileSync('cp', ['-a', `${origin}/.`, dataDir]);
  return join(dataDir, 'postgres');
}

/** Opens the store in each mode. @returns the error of each */
async function refusals(modes: readonly StoreMode[]): Promise<Map<string, string>> {
  const open = (mode: StoreMode) => {
    const keys = new Keys({ keyFile: undefined, dataDir });
    return openStore({ databaseUrl: undefined, dataDir, keys, log: silent, mode });
  };
  const said = new Map<string, string>();
  for (const mode of modes) {
    const told = await open(mode).then(
      async (store) => {
        await store.close();
        return 'it was opened';
      },
      (error: unknown) => {
        const { reason, message } = error as { reason: string; message: string };
        return `${reason}: ${message}`;
      },
    );
    said.set(mode, told);
  }
  return said;
}

/** Expects every mode to refuse, and to change nothing. */
async function expectRefused(sentence: RegExp): Promise<void> {
  const list = () => readdirSync(dataDir, { recursive: true }).map(String).sort();
  const locks = /^ridgewatch(-guests)?\.lock$/;
  const before = list();
  for (const [mode, said] of await refusals(['own', 'filled', 'present', 'either']))
    expect(`${mode}: ${said}`).toMatch(new RegExp(`^${mode}: EMBEDDED_DATABASE_FAILED: ${sentence.source}`));
  expect(list().filter((name) => !locks.test(name))).toEqual(before.filter((name) => !locks.test(name)));
}

async function expectKept(): Promise<void> {
  const cluster = await startEmbeddedCluster(dataDir, silent);
  clusters.push(cluster);
  const client = new pg.Client({ connectionString: cluster.url });
  await client.connect();
  expect((await client.query('SELECT answer FROM kept')).rows).toEqual([{ answer: 42 }]);
  await client.end();
}

describe('a database that has lost files', () => {
  it('is kept when PG_VERSION is missing, and works again once it is put back', async () => {
    const files = copy();
    rmSync(join(files, 'PG_VERSION'));
    await expectRefused(/.*postgres holds no whole database: its file PG_VERSION is missing.*base\/1\/PG_VERSION/);
    execFileSync('cp', ['-a', join(files, 'base/1/PG_VERSION'), files]);
    await expectKept();
  });

  it('is kept when only an unrelated file is left', async () => {
    const files = copy();
    rmSync(files, { recursive: true });
    mkdirSync(files);
    writeFileSync(join(files, 'notes'), 'x');
    await expectRefused(/.*postgres holds no whole database.*there is notes/);
  });
});

describe('a database with a damaged catalogue', () => {
  const remove = (file: string) => rmSync(file, { recursive: true });
  /** As left by a disk that has lost the contents. */
  const zero = (file: string) => writeFileSync(file, Buffer.alloc(statSync(file).size));
  const catalogue = /^STORE_DAMAGED: The catalogue in which PostgreSQL keeps .* is damaged.*ridgewatch restore/;
  const files = /^EMBEDDED_DATABASE_FAILED: .*(keep a copy|another data directory)/;
  it.each([
    ['base/5/pg_filenode.map', remove, catalogue],
    ['base/5/pg_filenode.map', zero, catalogue],
    ['base/5/PG_VERSION', remove, catalogue],
    ['base/5/1259', remove, catalogue],
    ['base/5/1249', zero, catalogue],
    ['base/5', remove, catalogue],
    ['global/1262', remove, catalogue],
    ['global/1262', zero, catalogue],
    ['global/1260', zero, catalogue],
    ['pg_xact/0000', remove, files],
    ['global/pg_control', zero, files],
    ['global/pg_control', remove, files],
    ['pg_wal', remove, files],
    ['pg_hba.conf', remove, files],
  ])('is reported, without advice to create another one: %s %s', async (name, damage, sentence) => {
    damage(join(copy(), name));
    const said = (await refusals(['own'])).get('own');
    expect(said).toMatch(sentence);
    expect(said).not.toContain('initdb');
  });
});

describe('an inconsistent catalogue', () => {
  it.each([
    'pg_attribute catalog is missing 1 attribute(s) for relation OID 2662',
    'cache lookup failed for relation 16384',
    'could not find pg_class entry for 16384',
  ])('is damage, although PostgreSQL gives no SQLSTATE for it: %s', (message) => {
    const error = Object.assign(new pg.DatabaseError(message, 0, 'error'), { code: 'XX000' });
    expect(asStoreFailure(error)).toMatchObject({ reason: 'STORE_DAMAGED' });
  });
});

describe('a lost database', () => {
  it('is not replaced when its password is left, in an empty directory or in none', async () => {
    const files = copy();
    const away = join(dataDir, 'away');
    renameSync(files, away);
    await expectRefused(/The database of .* is gone: postgres-password of it is there/);
    // As left by a disk that is not mounted.
    mkdirSync(files);
    await expectRefused(/The database of .* is gone: postgres-password of it is there/);
    rmSync(files, { recursive: true });
    renameSync(away, files);
    await expectKept();
  });

  it.each(['keys.json', 'receipt-key.pem'])('is not replaced when its %s is left', async (name) => {
    dataDir = temporaryDirectory();
    writeFileSync(join(dataDir, name), 'x');
    const said = await refusals(['own', 'either', 'present']);
    for (const mode of ['own', 'either']) expect(said.get(mode)).toMatch(/is gone: .* of it is there/);
    expect(said.get('present')).toMatch(/^NO_DATABASE/);
    expect(readdirSync(dataDir)).toContain(name);
  });

  it('is not assumed when the directory cannot be read', async () => {
    const files = copy();
    renameSync(files, join(dataDir, 'away'));
    symlinkSync('postgres', files);
    await expectRefused(/Whether there is a database cannot be said: .* \(ELOOP\)/);
    rmSync(files);
    writeFileSync(files, 'x');
    await expectRefused(/Whether there is a database cannot be said: .* \(ENOTDIR\)/);
    rmSync(files);
    renameSync(join(dataDir, 'away'), files);
    await expectKept();
  });

  it('is not assumed when the password cannot be read', async () => {
    copy();
    const file = join(dataDir, 'postgres-password');
    rmSync(file);
    mkdirSync(file);
    await expectRefused(/The password of the embedded database cannot be read from .* \(EISDIR\)/);
  });
});

describe('a database that never existed', () => {
  it('is created in an empty directory, also when keys were restored there before', async () => {
    dataDir = temporaryDirectory();
    mkdirSync(join(dataDir, 'postgres'));
    writeFileSync(join(dataDir, 'keys.json'), 'x');
    clusters.push(await startEmbeddedCluster(dataDir, silent, {}, 'fill'));
    expect(existsSync(join(dataDir, 'postgres/PG_VERSION'))).toBe(true);
  });

  it('is created by the next start when the first one was interrupted', async () => {
    dataDir = temporaryDirectory();
    // A directory that no program could have created there: it obstructs the last step.
    const files = join(dataDir, 'postgres');
    const interrupted = startEmbeddedCluster(dataDir, ({ message }) => {
      if (message.startsWith('making')) mkdirSync(join(files, 'in the way'), { recursive: true });
    });
    await expect(interrupted).rejects.toThrow(/could not be started.*not empty/);
    rmSync(files, { recursive: true });
    expect(readdirSync(dataDir)).toContain('postgres-password');
    clusters.push(await joinEmbeddedCluster(dataDir, silent, {}, 'begin'));
    expect(readdirSync(dataDir).filter((name) => name.includes('made') || name.includes('new'))).toEqual([]);
  });
});
