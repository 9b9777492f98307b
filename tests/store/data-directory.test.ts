import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { temporaryDirectory } from '../cluster.ts';

const isRoot = process.getuid?.() === 0;
const isLinux = process.platform === 'linux';
const directories: string[] = [];
const clusters: EmbeddedCluster[] = [];
const lines: string[] = [];
const processes: ChildProcess[] = [];

function directory(): string {
  const made = temporaryDirectory();
  directories.push(made);
  return made;
}

/** A directory that only its owner can traverse. */
function closedDirectory(): string {
  const made = directory();
  chmodSync(made, 0o700);
  return made;
}

async function start(dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await startEmbeddedCluster(dataDir, ({ message }) => lines.push(message));
  clusters.push(cluster);
  // Files kept outside the data directory have to be cleared away as well.
  if (!cluster.directory.startsWith(dataDir)) directories.push(dirname(cluster.directory));
  return cluster;
}

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows as unknown[];
}

/** Starts a database, creates a table in it and stops it. */
async function fill(dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await start(dataDir);
  await query(cluster.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await cluster.stop();
  return cluster;
}

async function expectKept(dataDir: string): Promise<EmbeddedCluster> {
  const cluster = await start(dataDir);
  expect(await query(cluster.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  return cluster;
}

/** Starts a database in its own process, which prints the URL, or the error message. */
function startProcess(
  dataDir: string,
  user: { uid?: number; gid?: number } = {},
): ChildProcessByStdio<null, Readable, null> {
  const source = resolve(import.meta.dirname, '../../src/store/embedded-cluster.ts');
  const script = `const { startEmbeddedCluster } = await import(${JSON.stringify(source)});
    const { url } = await startEmbeddedCluster(process.argv[1], () => undefined).catch((error) => ({ url: error.message }));
    console.log(url); setInterval(() => undefined, 1e6);`;
  const started = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
    ...user,
  });
  processes.push(started);
  return started;
}

async function startElsewhere(dataDir: string): Promise<{ process: ChildProcess; url: string }> {
  const started = startProcess(dataDir);
  const [url] = (await once(started.stdout.setEncoding('utf8'), 'data')) as [string];
  return { process: started, url: url.trim() };
}

async function refusal(dataDir: string): Promise<{ reason: string; message: string }> {
  return start(dataDir).then(
    () => ({ reason: 'started', message: '' }),
    (error: unknown) => error as { reason: string; message: string },
  );
}

function isAlive(pid: number): boolean {
  try {
    // A zombie, whose parent has not waited for it yet, counts as dead.
    return !isLinux || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function registeredServer(files: string): number {
  return Number(readFileSync(join(files, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

afterEach(async () => {
  for (const started of processes.splice(0)) started.kill('SIGKILL');
  for (const cluster of clusters.splice(0)) await cluster.stop();
  for (const made of directories.splice(0)) rmSync(made, { recursive: true, force: true });
  lines.length = 0;
});

describe('the data directory', () => {
  it.skipIf(!isRoot)(
    'keeps its database when its parent is opened, it is moved, and the parent is closed again (needs root)',
    async () => {
      const closed = closedDirectory();
      await fill(join(closed, 'data'));
      chmodSync(closed, 0o755);
      await (await expectKept(join(closed, 'data'))).stop();
      renameSync(join(closed, 'data'), join(closed, 'moved'));
      chmodSync(closed, 0o700);
      await expectKept(join(closed, 'moved'));
      expect(lstatSync(join(closed, 'moved/postgres')).isSymbolicLink()).toBe(true);
    },
  );

  it.skipIf(!isRoot)('is refused when its database is no longer reachable (needs root)', async () => {
    const parent = directory();
    chmodSync(parent, 0o755);
    await fill(join(parent, 'data'));
    chmodSync(parent, 0o700);
    expect(await refusal(join(parent, 'data'))).toMatchObject({
      reason: 'EMBEDDED_DATABASE_FAILED',
      message: expect.stringContaining('chmod o+x') as string,
    });
    chmodSync(parent, 0o755);
    await expectKept(join(parent, 'data'));
  });

  it('never gets an empty database in place of a lost one', async () => {
    const parent = directory();
    await fill(join(parent, 'data'));
    const place = join(parent, 'data/postgres');
    rmSync(place, { recursive: true });
    symlinkSync(join(parent, 'lost/postgres'), place);
    expect(await refusal(join(parent, 'data'))).toMatchObject({
      reason: 'EMBEDDED_DATABASE_FAILED',
      message: expect.stringContaining('are gone') as string,
    });
  });

  it.skipIf(!isRoot)('is in use while a copy that shares its database is in use (needs root)', async () => {
    const closed = closedDirectory();
    const first = await start(join(closed, 'data'));
    cpSync(join(closed, 'data'), join(closed, 'copy'), { recursive: true, verbatimSymlinks: true });
    expect((await refusal(join(closed, 'copy'))).reason).toBe('DATA_DIRECTORY_IN_USE');
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('is in use under another name too', async () => {
    const parent = directory();
    const first = await start(join(parent, 'data'));
    renameSync(join(parent, 'data'), join(parent, 'moved'));
    expect((await refusal(join(parent, 'moved'))).reason).toBe('DATA_DIRECTORY_IN_USE');
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    renameSync(join(parent, 'moved'), join(parent, 'data'));
  });

  it('holds a password readable by its owner only, and reports when it is missing', async () => {
    const dataDir = directory();
    await fill(dataDir);
    const file = join(dataDir, 'postgres-password');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const password = readFileSync(file);
    writeFileSync(file, '');
    expect((await refusal(dataDir)).message).toContain('password of the embedded database is missing');
    writeFileSync(file, password);
    await expectKept(dataDir);
  });

  it('is cleared of interrupted drafts, but not of files with similar names', async () => {
    const dataDir = directory();
    const [drafts, own] = [['postgres.new-0a1b2c3d'], ['postgres.new', 'postgres.new-copy']];
    for (const name of [...drafts, ...own]) mkdirSync(join(dataDir, name, 'base'), { recursive: true });
    writeFileSync(join(dataDir, 'postgres.new-0a1b2c3d-password'), 'x');
    await start(dataDir);
    for (const name of [...drafts, 'postgres.new-0a1b2c3d-password'])
      expect(existsSync(join(dataDir, name))).toBe(false);
    for (const name of own) expect(existsSync(join(dataDir, name, 'base'))).toBe(true);
  });
});

describe('the database process', () => {
  it('is stopped when the service that started it was killed, and loses nothing', async () => {
    const dataDir = directory();
    const { process: service, url } = await startElsewhere(dataDir);
    await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const orphan = registeredServer(join(dataDir, 'postgres'));
    // A transaction that never ends must not delay the shutdown.
    const hanging = new pg.Client({ connectionString: url });
    hanging.on('error', () => undefined);
    await hanging.connect();
    await hanging.query('BEGIN; INSERT INTO kept VALUES (43)');
    service.kill('SIGKILL');
    await once(service, 'exit');
    expect(isAlive(orphan)).toBe(true);
    const { directory: files } = await expectKept(dataDir);
    expect(isAlive(orphan)).toBe(false);
    expect(registeredServer(files)).not.toBe(orphan);
    expect(lines).toContain('stopping the database that an earlier run left behind');
    await hanging.end();
  });

  it("starts when another process has its predecessor's id, and leaves that process alone", async () => {
    const dataDir = directory();
    const first = await start(dataDir);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const file = join(first.directory, 'postmaster.pid');
    const registered = readFileSync(file, 'utf8');
    await first.stop();
    // Only a process of the database's own user could be mistaken for it.
    const user = isRoot ? { uid: statSync(first.directory).uid, gid: statSync(first.directory).gid } : {};
    const other = spawn('sleep', ['1000'], user);
    processes.push(other);
    await once(other, 'spawn');
    writeFileSync(file, registered.replace(/^\d+/, String(other.pid)));
    await expectKept(dataDir);
    expect(other.exitCode ?? other.signalCode).toBeNull();
  });

  it('starts after a power cut, whatever is left of the file that names its predecessor', async () => {
    const dataDir = directory();
    const { directory: files } = await fill(dataDir);
    const file = join(files, 'postmaster.pid');
    const user = statSync(files);
    for (const left of ['', '\0'.repeat(80), '\n', 'x\n/data\n', '0\n', '-3', '99999999999\n', '4711']) {
      writeFileSync(file, left, { mode: 0o600 });
      chownSync(file, user.uid, user.gid);
      await (await expectKept(dataDir)).stop();
    }
  });

  it('starts when its predecessor is suspended and no file names it', async () => {
    const dataDir = directory();
    const service = await startElsewhere(dataDir);
    await query(service.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const orphan = registeredServer(join(dataDir, 'postgres'));
    service.process.kill('SIGKILL');
    await once(service.process, 'exit');
    rmSync(join(dataDir, 'postgres/postmaster.pid'));
    process.kill(orphan, 'SIGSTOP');
    await expectKept(dataDir);
    expect(isAlive(orphan)).toBe(false);
  });

  it('starts after being killed at any moment', async () => {
    const dataDir = directory();
    for (let round = 0; round < 8; round++) {
      const started = startProcess(dataDir);
      // From the first moments of initdb to some time after the database is ready.
      await delay(Math.random() * 400 * round);
      started.kill('SIGKILL');
      await once(started, 'exit');
    }
    const { url } = await start(dataDir);
    expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(readdirSync(dataDir).filter((name) => name.includes('.new'))).toEqual([]);
  });

  it.skipIf(!isRoot || !isLinux)('tells a user without a name what to do (needs root)', async () => {
    const parent = directory();
    chownSync(parent, 1_000_650_000, 0);
    const { stdout } = startProcess(join(parent, 'data'), { uid: 1_000_650_000, gid: 0 });
    const [text] = (await once(stdout.setEncoding('utf8'), 'data')) as [string];
    expect(text).toMatch(/could not look up effective user ID 1000650000.*\/etc\/passwd/);
  });

  it.skipIf(!isLinux)('does not receive a Ctrl-C from the terminal (needs /proc)', async () => {
    const { directory: files } = await start(directory());
    const pid = registeredServer(files);
    const [, , , group, session] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, 'x ')
      .split(' ');
    expect([Number(group), Number(session)]).toEqual([pid, pid]);
  });

  it('adds no signal handlers to the process', async () => {
    const count = () => ['SIGINT', 'SIGTERM', 'exit', 'beforeExit'].map((event) => process.listenerCount(event));
    const before = count();
    await start(directory());
    expect(count()).toEqual(before);
  });
});
