/** The service as a process: how it is started, the signals it gets, and what it leaves behind. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../cluster.ts';

const root = resolve(import.meta.dirname, '../..');
const dist = join(root, 'dist/src/cli');
const ownBin = join(root, 'node_modules/.bin');

/** Programs of the machine, not of this installation. */
function onPath(program: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.map((folder) => join(folder, program)).find((file) => existsSync(file));
}
const npm = onPath('npm');
const npx = onPath('npx');
const otherNode = onPath('node');
const isOlder =
  otherNode !== undefined &&
  Number(execFileSync(otherNode, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' })) < 24;

interface Started {
  readonly child: ChildProcess;
  readonly dataDir: string;
  readonly grpcPort: number;
  /** Process id of the service itself. */
  readonly pid: number;
  readonly lines: Record<string, unknown>[];
}

const PATIENCE_MS = 30_000;
const QUIET = {
  RIDGEWATCH_GRPC_PORT: '0',
  RIDGEWATCH_HTTP_PORT: '0',
  RIDGEWATCH_DEMO: 'never',
  RIDGEWATCH_WORKERS: '1',
};
/** npm would build a linked package without this setting. */
const OF_NPM = { npm_config_cache: temporaryDirectory(), npm_config_ignore_scripts: 'true' };
const running: Started[] = [];

/** Variables that npm and vitest set for their children would be taken for the caller's settings. */
function environment(extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|NODE_|VITEST|RIDGEWATCH_|DATABASE_URL)/i.test(name),
  );
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return { ...Object.fromEntries(own), PATH: path.join(delimiter), ...extra };
}

/** An empty store, created once: creating one takes longer than the tests themselves. */
let made: string | undefined;
function dataDirectory(): string {
  const folder = join(temporaryDirectory(), 'data');
  if (made !== undefined) execFileSync('cp', ['-a', made, folder]);
  return folder;
}

/** Starts a service and waits until it is ready. */
async function start(command: readonly string[], extra: NodeJS.ProcessEnv = {}): Promise<Started> {
  const dataDir = dataDirectory();
  const [program, ...args] = command;
  const child = spawn(program ?? '', args, {
    cwd: root,
    // A separate process group, as a shell gives each job.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
    env: environment({
      RIDGEWATCH_DATA_DIR: dataDir,
      ...QUIET,
      ...extra,
    }),
  });
  const lines: Record<string, unknown>[] = [];
  const reader = createInterface({ input: child.stdout });
  const grpcPort = await new Promise<number>((ready, failed) => {
    reader.on('line', (line) => {
      if (!line.startsWith('{')) return;
      const parsed = JSON.parse(line) as Record<string, unknown>;
      lines.push(parsed);
      if (parsed.msg === 'ready') ready(Number(parsed.grpc_port));
    });
    child.once('exit', (code) => failed(new Error(`ended with ${code} before it was ready: ${JSON.stringify(lines)}`)));
    child.once('error', failed);
  });
  const started = { child, dataDir, grpcPort, pid: serviceOf(child.pid ?? 0), lines };
  running.push(started);
  return started;
}

/** The last process in a chain of children, databases excluded, by the system's process list. */
function serviceOf(pid: number): number {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => statOf(name).parent === pid && !statOf(name).name.includes('postgres'));
  return children.length === 0 ? pid : serviceOf(Number(children[0]));
}

function statOf(pid: string): { parent: number; name: string } {
  try {
    const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return { name, parent: Number(rest.split(' ')[1]) };
  } catch {
    return { name: '', parent: -1 };
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie does not count as running.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`);
    await delay(20);
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/** Expects that no process, port or database is left. */
async function expectNothingLeft({ pid, grpcPort, dataDir, lines }: Started): Promise<void> {
  await until('the service has ended', () => !isRunning(pid));
  expect(await listens(grpcPort)).toBe(false);
  expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  expect(lines.at(-1)).toMatchObject({ msg: 'stopped' });
}

async function exitOf({ child }: Started): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}

afterEach(async () => {
  for (const started of running.splice(0)) {
    if (isRunning(started.pid)) process.kill(started.pid, 'SIGTERM');
    await until('the service has ended', () => !isRunning(started.pid));
  }
});

const hasProc = existsSync('/proc/self/stat');

beforeAll(async () => {
  if (!hasProc) return;
  const first = await start([join(dist, 'ridgewatch.sh'), 'serve']);
  first.child.kill('SIGTERM');
  await exitOf(first);
  made = first.dataDir;
});

describe.skipIf(!hasProc)(`the service as a process${hasProc ? '' : ' (skipped: this system has no /proc)'}`, () => {
  const launchers: [string, string | undefined, readonly string[]][] = [
    ['npm start', npm, ['start']],
    ['an absolute path', join(dist, 'ridgewatch.sh'), ['serve']],
    ['main.js and the Node.js that came along', join(ownBin, 'node'), [join(dist, 'main.js'), 'serve']],
    ['main.js and an older Node.js', isOlder ? otherNode : undefined, [join(dist, 'main.js'), 'serve']],
  ];

  for (const [how, program, args] of launchers) {
    const missing = program === undefined ? ' (skipped: it is not on this machine)' : '';
    it.skipIf(program === undefined)(`ends in order when its parent gets a signal: ${how}${missing}`, async () => {
      const started = await start([program ?? '', ...args]);
      started.child.kill('SIGTERM');
      expect(await exitOf(started)).toEqual([0, null]);
      await expectNothingLeft(started);
    });

    // Without a process in between, no other process could be killed instead of the service.
    if (!how.startsWith('npm') && !how.includes('older')) continue;
    it.skipIf(program === undefined)(`ends in order when its parent is killed: ${how}${missing}`, async () => {
      const started = await start([program ?? '', ...args]);
      expect(started.pid).not.toBe(started.child.pid ?? 0);
      started.child.kill('SIGKILL');
      await exitOf(started);
      await expectNothingLeft(started);
    });
  }

  it.skipIf(npx === undefined).each(['SIGTERM', 'SIGKILL'] as const)(
    `ends in order when npx gets %s${npx === undefined ? ' (skipped: there is no npx)' : ''}`,
    async (signal) => {
      const started = await start([npx ?? '', 'ridgewatch', 'serve'], OF_NPM);
      started.child.kill(signal);
      await exitOf(started);
      await expectNothingLeft(started);
    },
  );

  it('drains on SIGQUIT', async () => {
    const started = await start([join(dist, 'ridgewatch.sh'), 'serve']);
    process.kill(started.pid, 'SIGQUIT');
    expect(await exitOf(started)).toEqual([0, null]);
    await expectNothingLeft(started);
    expect(started.lines).toContainEqual(expect.objectContaining({ msg: 'told to stop', signal: 'SIGQUIT' }));
  });

  it('reads the files of certificates again on SIGHUP, and goes on', async () => {
    const certificate = (name: string) => join(root, 'tests/security/certificates', name);
    const folder = temporaryDirectory();
    for (const name of ['server.pem', 'server.key']) copyFileSync(certificate(name), join(folder, name));
    const started = await start([join(dist, 'ridgewatch.sh'), 'serve'], {
      RIDGEWATCH_TLS_CERT: join(folder, 'server.pem'),
      RIDGEWATCH_TLS_KEY: join(folder, 'server.key'),
    });
    const failures = () => started.lines.filter(({ reason }) => reason === 'TLS_INVALID').length;
    writeFileSync(join(folder, 'server.pem'), 'nothing');
    await until('the change is noticed', () => failures() === 1);
    process.kill(started.pid, 'SIGHUP');
    await until('it is read again', () => failures() === 2);
    expect(await listens(started.grpcPort)).toBe(true);
    started.child.kill('SIGTERM');
    expect(await exitOf(started)).toEqual([0, null]);
  });

  it('ignores signals without a meaning and opens no debugger', async () => {
    for (const command of [[join(dist, 'ridgewatch.sh')], [join(ownBin, 'node'), join(dist, 'main.js')]]) {
      const started = await start([...command, 'serve']);
      for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGPIPE', 'SIGXFSZ', 'SIGWINCH', 'SIGCONT', 'SIGURG'] as const)
        process.kill(started.pid, signal);
      await until('it is in the log', () => started.lines.some(({ signal }) => signal === 'SIGUSR2'));
      expect(await listens(started.grpcPort)).toBe(true);
      const ports = listeningPorts(started.pid);
      expect(ports.length).toBeGreaterThan(0);
      expect(ports).not.toContain(9229);
      started.child.kill('SIGTERM');
      expect(await exitOf(started)).toEqual([0, null]);
    }
  });

  it('counts a Ctrl-C that arrives twice, from the terminal and from npm, as one', async () => {
    const started = await start([join(dist, 'ridgewatch.sh'), 'serve']);
    for (let i = 0; i < 3; i++) process.kill(started.pid, 'SIGINT');
    expect(await exitOf(started)).toEqual([0, null]);
    await expectNothingLeft(started);
  });

  const full = existsSync('/dev/full');
  it.skipIf(!full)(
    `continues when its log cannot be written${full ? '' : ' (skipped: there is no /dev/full)'}`,
    async () => {
      const [portFile, command] = [join(temporaryDirectory(), 'port'), join(dist, 'ridgewatch.sh')];
      const dataDir = dataDirectory();
      // Messages for people go to standard error, and state the port.
      const child = spawn('/bin/sh', ['-c', `exec "${command}" serve >/dev/full 2>"${portFile}"`], {
        stdio: 'ignore',
        env: environment({ ...QUIET, RIDGEWATCH_DATA_DIR: dataDir }),
      });
      const port = () =>
        Number(/gRPC on 127\.0\.0\.1:(\d+)/.exec(existsSync(portFile) ? readFileSync(portFile, 'utf8') : '')?.[1]);
      await until('it is ready', () => port() > 0);
      for (let i = 0; i < 3; i++) child.kill('SIGUSR2');
      expect(await listens(port())).toBe(true);
      child.kill('SIGTERM');
      await once(child, 'exit');
      expect([child.exitCode, existsSync(join(dataDir, 'postgres/postmaster.pid'))]).toEqual([0, false]);
    },
  );

  it('outlives its terminal under nohup', async () => {
    const started = await start(['/bin/sh', '-c', `trap '' HUP; exec "${join(dist, 'ridgewatch.sh')}" serve`]);
    process.kill(started.pid, 'SIGHUP');
    await until('it is in the log', () => started.lines.some(({ signal }) => signal === 'SIGHUP'));
    expect(await listens(started.grpcPort)).toBe(true);
    started.child.kill('SIGTERM');
    expect(await exitOf(started)).toEqual([0, null]);
  });

  it('ignores variables that load code or open files, and logs it', async () => {
    const folder = temporaryDirectory();
    const [loaded, module] = [join(folder, 'loaded'), join(folder, 'module.cjs')];
    writeFileSync(module, `require('node:fs').writeFileSync(${JSON.stringify(loaded)}, '')`);
    const ambient = { NODE_OPTIONS: `--inspect=127.0.0.1:0 --require ${module}`, GRPC_TRACE: 'all', NODE_DEBUG: 'net' };
    const started = await start([join(dist, 'ridgewatch.sh'), 'serve'], ambient);
    expect(existsSync(loaded)).toBe(false);
    expect(listeningPorts(started.pid)).toHaveLength(2);
    expect(started.lines[0]).toMatchObject({
      level: 'warn',
      variables: expect.arrayContaining(Object.keys(ambient)) as string[],
    });
    started.child.kill('SIGTERM');
    await exitOf(started);
  });

  it('leaves nothing behind when the start is interrupted', async () => {
    const dataDir = dataDirectory();
    const child = spawn(
      join(dist, 'ridgewatch.sh'),
      ['serve', '--data-dir', dataDir, '--grpc-port', '0', '--http-port', '0'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: environment({ RIDGEWATCH_DEMO: 'always', RIDGEWATCH_DEMO_SUBJECTS: '50000' }),
      },
    );
    // The demo gallery takes minutes; the database runs by then.
    for await (const line of createInterface({ input: child.stdout }))
      if (line.includes('making the demo gallery')) break;
    child.stdout.resume();
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(child.exitCode).toBe(0);
    expect(existsSync(join(dataDir, 'postgres/postmaster.pid'))).toBe(false);
  });

  describe.skipIf(npm === undefined)(`installed${npm === undefined ? ' (skipped: there is no npm)' : ''}`, () => {
    let prefix: string;

    beforeAll(() => {
      prefix = installGlobally();
    });

    it.each([
      ['by its name on the path', () => ['ridgewatch', 'serve']],
      [
        'by a link to a link elsewhere',
        () => {
          const link = join(temporaryDirectory(), 'rw');
          symlinkSync(join(prefix, 'bin/ridgewatch'), link);
          return [link, 'serve'];
        },
      ],
    ])('globally, it runs %s, under the Node.js that came along, and ends in order', async (_, command) => {
      const started = await start(command(), { PATH: `${join(prefix, 'bin')}${delimiter}${environment({}).PATH}` });
      expect(readFileSync(`/proc/${started.pid}/cmdline`, 'utf8')).toContain('node_modules/node/bin/node');
      expect(started.pid).toBe(started.child.pid);
      started.child.kill('SIGTERM');
      expect(await exitOf(started)).toEqual([0, null]);
      await expectNothingLeft(started);
    });

    it('passes on exit codes', () => {
      const run = (...args: string[]) => {
        try {
          execFileSync(join(prefix, 'bin/ridgewatch'), args, { stdio: 'ignore', env: environment({}) });
          return 0;
        } catch (error) {
          return (error as { status: number }).status;
        }
      };
      expect([run('--version'), run('fly'), run('status', '--address', '127.0.0.1:1')]).toEqual([0, 2, 1]);
    });
  });
});

/** Installs the packed package globally into a prefix of its own. Its dependencies are those of this checkout. */
function installGlobally(): string {
  const folder = temporaryDirectory();
  const run = (args: readonly string[], cwd: string) =>
    execFileSync(npm ?? '', [...args], {
      cwd,
      encoding: 'utf8',
      env: environment(OF_NPM),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const [packed] = JSON.parse(run(['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root)) as {
    filename: string;
  }[];
  execFileSync('tar', ['xf', join(folder, packed?.filename ?? ''), '-C', folder]);
  const manifest = join(folder, 'package/package.json');
  const rest = JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, unknown>;
  for (const name of ['dependencies', 'devDependencies', 'scripts']) Reflect.deleteProperty(rest, name);
  writeFileSync(manifest, JSON.stringify(rest));
  run(['pack', '--json', '--pack-destination', join(folder, 'package')], join(folder, 'package'));
  const prefix = join(folder, 'prefix');
  mkdirSync(prefix);
  const tarball = readdirSync(join(folder, 'package')).find((name) => name.endsWith('.tgz')) ?? '';
  run(['install', '--global', '--offline', '--prefix', prefix, join(folder, 'package', tarball)], folder);
  symlinkSync(join(root, 'node_modules'), join(prefix, 'lib/node_modules/ridgewatch/node_modules'));
  return prefix;
}

/** TCP ports of the loopback address on which a process listens. */
function listeningPorts(pid: number): number[] {
  const own = new Set(
    execFileSync('ls', ['-l', `/proc/${pid}/fd`], { encoding: 'utf8' })
      .split('\n')
      .map((line) => /socket:\[(\d+)\]/.exec(line)?.[1]),
  );
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && own.has(fields[9]))
    .map((fields) => parseInt(fields[1]?.split(':')[1] ?? '', 16));
}
