/** Services and commands that compete for the database of one data directory. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { joinEmbeddedCluster, startEmbeddedCluster, type EmbeddedCluster } from '../../src/store/embedded-cluster.ts';
import { temporaryDirectory } from '../cluster.ts';

const source = resolve(import.meta.dirname, '../../src/store/embedded-cluster.ts');
const directories: string[] = [];
const clusters: EmbeddedCluster[] = [];
const processes: ChildProcess[] = [];
const said: string[] = [];
const log = ({ message }: { message: string }) => void said.push(message);

let template: string;

beforeAll(async () => {
  template = temporaryDirectory();
  await (await startEmbeddedCluster(template, () => undefined)).stop();
});
afterAll(() => rmSync(template, { recursive: true, force: true }));

function emptyDirectory(): string {
  const made = temporaryDirectory();
  directories.push(made);
  return made;
}

/** A data directory with a stopped database. */
function directory(): string {
  const made = join(emptyDirectory(), 'data');
  execFileSync('cp', ['-a', template, made]);
  // The database's user has to traverse it, as it can the template's parent.
  chmodSync(join(made, '..'), 0o711);
  return made;
}

const keep = (cluster: EmbeddedCluster) => {
  clusters.push(cluster);
  return cluster;
};
const service = (dataDir: string, patienceMs = 30_000) => startEmbeddedCluster(dataDir, log, { patienceMs }).then(keep);
const command = (dataDir: string, patienceMs = 30_000) =>
  joinEmbeddedCluster(dataDir, log, { patienceMs }, 'begin').then(keep);

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query(sql);
  await client.end();
  return rows as unknown[];
}

async function heard(words: string): Promise<void> {
  await expect.poll(() => said.some((line) => line.includes(words)), { timeout: 20_000, interval: 20 }).toBe(true);
}

afterEach(async () => {
  for (const started of processes.splice(0)) started.kill('SIGKILL');
  for (const cluster of clusters.splice(0).reverse()) await cluster.stop();
  for (const made of directories.splice(0)) rmSync(made, { recursive: true, force: true });
  said.length = 0;
});

describe('a service and a command', () => {
  it('the service waits for the command, and starts when the command has ended', async () => {
    const dataDir = directory();
    const first = await command(dataDir);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const second = service(dataDir);
    await heard(`waiting for ridgewatch`);
    expect(said.at(-1)).toContain(`process ${process.pid}`);
    await first.stop();
    expect(await query((await second).url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('the service names a command that does not end in time', async () => {
    const dataDir = directory();
    const first = await command(dataDir);
    await expect(service(dataDir, 300)).rejects.toMatchObject({
      reason: 'DATA_DIRECTORY_IN_USE',
      message: expect.stringMatching(`ridgewatch.* \\(process ${process.pid}\\): wait until it has ended`) as string,
    });
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('the service stops waiting when it is told to stop', async () => {
    const dataDir = directory();
    await command(dataDir);
    const stop = new AbortController();
    const waiting = startEmbeddedCluster(dataDir, log, { patienceMs: 60_000, signal: stop.signal });
    const ended = expect(waiting).rejects.toMatchObject({ reason: 'START_GIVEN_UP' });
    await heard('waiting for ridgewatch');
    stop.abort();
    await ended;
  });

  it('the command shares the database of a service that is just starting', async () => {
    const dataDir = directory();
    const [first, second] = await Promise.all([service(dataDir), command(dataDir)]);
    expect([first.isShared, second.isShared]).toEqual([false, true]);
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.stop();
    expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

describe('two commands', () => {
  it('share a database, which runs until both have ended', async () => {
    const dataDir = directory();
    const first = await command(dataDir);
    const second = await command(dataDir);
    expect([first.isShared, second.isShared]).toEqual([false, true]);
    let stopped = false;
    const stopping = first.stop().then(() => (stopped = true));
    await heard('waiting for another command');
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(stopped).toBe(false);
    await second.stop();
    await stopping;
    await expect(query(second.url, 'SELECT 1')).rejects.toThrow();
  });

  it('do not block each other when the second comes while the first ends', async () => {
    const dataDir = directory();
    const first = await command(dataDir);
    const stopping = first.stop();
    const second = await command(dataDir);
    await stopping;
    expect(second.isShared).toBe(false);
    expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

it('a service keeps its database when its lock file is removed', async () => {
  const dataDir = directory();
  const first = await service(dataDir);
  rmSync(join(dataDir, 'ridgewatch.lock'));
  await expect(service(dataDir)).rejects.toMatchObject({ reason: 'DATA_DIRECTORY_IN_USE' });
  expect(await query(first.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

const SCRIPT = `
  const { startEmbeddedCluster, joinEmbeddedCluster } = await import(${JSON.stringify(source)});
  const open = process.argv[2] === 'join' ? joinEmbeddedCluster : startEmbeddedCluster;
  const log = ({ message }) => console.log(JSON.stringify({ message }));
  try { const { url } = await open(process.argv[1], log, { patienceMs: 3000 }); console.log(JSON.stringify({ url })); }
  catch ({ reason, message }) { console.log(JSON.stringify({ reason, message })); process.exit(); }
  setInterval(() => undefined, 1e6);`;

function canUnshare(): boolean {
  try {
    execFileSync('unshare', ['-n', '-p', '-i', '-f', '--mount-proc', 'true'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

describe.skipIf(!canUnshare())('in another container (needs root and unshare)', () => {
  const LOOPBACK = `${process.execPath} -e '' ; ip link set lo up 2>/dev/null || python3 -c "import fcntl,socket,struct; fcntl.ioctl(socket.socket(),0x8914,struct.pack('16sh',b'lo',65))"`;

  /** Runs the script in its own namespaces, until it reports its result or the URL of its database. */
  async function elsewhere(
    namespaces: readonly string[],
    dataDir: string,
    mode = 'start',
    shell = 'exec "$@"',
  ): Promise<{ process: ChildProcess; result: { url?: string; reason?: string; message?: string } }> {
    const node = [process.execPath, '--input-type=module', '-e', SCRIPT, dataDir, mode];
    const started = spawn('unshare', [...namespaces, 'sh', '-c', `${LOOPBACK}; ${shell}`, 'sh', ...node], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    processes.push(started);
    let text = '';
    for await (const part of started.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      text += part as string;
      const lines = text.split('\n').slice(0, -1);
      const result = lines
        .map((line) => JSON.parse(line) as { url?: string; reason?: string; message?: string })
        .find(({ url, reason }) => url !== undefined || reason !== undefined);
      if (result !== undefined) return { process: started, result };
    }
    throw new Error(`the script said nothing: ${text}`);
  }

  it.each([
    ['all', ['-n', '-p', '-i', '-f', '--mount-proc', '--kill-child']],
    ['network', ['-n']],
    ['process', ['-p', '-f', '--mount-proc', '--kill-child']],
  ])('a second service with its own namespaces (%s) is refused without effect on the first', async (_, namespaces) => {
    const dataDir = directory();
    const first = await service(dataDir);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const { result } = await elsewhere(namespaces, dataDir);
    expect(result).toMatchObject({ reason: 'DATA_DIRECTORY_IN_USE' });
    expect(await query(first.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(said.join()).not.toContain('ended by itself');
  });

  it('a command is told where it can run', async () => {
    const dataDir = directory();
    await service(dataDir);
    const { result } = await elsewhere(['-n', '-p', '-i', '-f', '--mount-proc', '--kill-child'], dataDir, 'join');
    expect(result.reason).toBe('DATA_DIRECTORY_IN_USE');
    expect(result.message).toContain('run this command where that one runs');
  });

  it('the database of a killed service blocks others from its files until it has ended', async () => {
    const dataDir = directory();
    // The container's first process survives the service, and with it the database.
    const survivor = '"$@" & read end; kill -9 $!; wait; echo "{\\"reason\\":\\"killed\\"}"; read end';
    const inner = ['-n', '-p', '-i', '-f', '--mount-proc', '--kill-child'];
    const { process: container, result } = await elsewhere(inner, dataDir, 'start', survivor);
    expect(result.url).toBeDefined();
    const ended = once(container.stdout as NodeJS.ReadableStream, 'data');
    container.stdin?.write('\n');
    expect(String(await ended)).toContain('killed');
    const second = await elsewhere(inner, dataDir);
    expect(second.result).toMatchObject({
      reason: 'EMBEDDED_DATABASE_FAILED',
      message: expect.stringContaining('in another container') as string,
    });
    container.kill('SIGKILL');
    await once(container, 'exit');
    expect(await query((await service(dataDir)).url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});

it.skipIf(process.platform !== 'linux')('passes none of its environment to the database (needs /proc)', async () => {
  const dataDir = directory();
  const { directory: files } = await service(dataDir);
  const [pid] = readFileSync(join(files, 'postmaster.pid'), 'utf8').split('\n');
  const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .map((line) => line.split('=')[0]);
  expect(names.filter((name) => name !== '' && name !== 'PG_GRANDPARENT_PID').sort()).toEqual(['LC_ALL', 'PATH', 'TZ']);
});

it('keeps the data directory private to its owner under every umask', async () => {
  const parent = emptyDirectory();
  chmodSync(parent, 0o755);
  const umask = process.umask(0);
  try {
    const { directory: files } = await service(join(parent, 'new/data'));
    const options = { encoding: 'utf8' } as const;
    const open = execFileSync(
      'find',
      [join(parent, 'new'), '(', '-type', 'f', '-o', '-type', 'd', ')', '-perm', '/066'],
      options,
    );
    expect(open).toBe('');
    expect(files).toContain(parent);
  } finally {
    process.umask(umask);
  }
});
