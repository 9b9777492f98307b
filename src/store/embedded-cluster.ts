import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { Failure } from '../failure.ts';
import { giveAway, prepareHost, type DatabaseHost } from './database-user.ts';
import { lockDirectory } from './directory-lock.ts';

/** A line about what the database does. */
export type StoreLog = (line: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;

/** A running PostgreSQL of our own. */
export interface EmbeddedCluster {
  /** Connection URL of its administrative database. Holds the password: never to be logged. */
  readonly url: string;
  /** Where its files are. */
  readonly directory: string;
  stop(): Promise<void>;
}

const USER = 'ridgewatch';
const CLUSTER = 'postgres';
const PASSWORD_FILE = 'postgres-password';
const READY = 'database system is ready to accept connections';
/** How long a database that another process left behind gets to shut down, in milliseconds. */
const ORPHAN_PATIENCE_MS = 15_000;
const SETTINGS = [
  // Paths of sockets are limited to about a hundred bytes, and nobody else is to connect anyway.
  ['unix_socket_directories', ''],
  ['listen_addresses', '127.0.0.1'],
  ['max_connections', '60'],
  ['shared_buffers', '128MB'],
  // Acknowledged means on disk.
  ['fsync', 'on'],
  ['synchronous_commit', 'on'],
  ['logging_collector', 'off'],
  // Statements can hold templates.
  ['log_min_error_statement', 'panic'],
  ['log_parameter_max_length_on_error', '0'],
] as const;

/**
 * Starts the PostgreSQL whose files are in `<dataDir>/postgres`, and makes it on first use.
 * @throws Failure DATA_DIRECTORY_UNWRITABLE, DATA_DIRECTORY_IN_USE, EMBEDDED_DATABASE_FAILED
 */
export async function startEmbeddedCluster(dataDir: string, log: StoreLog): Promise<EmbeddedCluster> {
  const root = resolve(dataDir);
  await makeWritable(root);
  const lock = await lockDirectory(root);
  try {
    const host = await prepareHost(root, (message) => log({ level: 'warn', message }));
    const files = join(host.home, CLUSTER);
    const password = await passwordOf(root);
    if (!existsSync(join(files, 'PG_VERSION'))) await initialise(host, files, password, log);
    await stopOrphan(files, log);
    const port = await getPort({ host: '127.0.0.1' });
    const server = await launch(host, files, port, log);
    return {
      directory: files,
      url: `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`,
      stop: async () => {
        await stopServer(server);
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function makeWritable(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
    await writeFile(join(root, '.writable'), '');
    await rm(join(root, '.writable'));
  } catch (cause) {
    const sentence = `The data directory ${root} cannot be written to: set RIDGEWATCH_DATA_DIR to one that can.`;
    throw new Failure('failed-precondition', 'DATA_DIRECTORY_UNWRITABLE', sentence, { cause });
  }
}

/** The database's password: made once, kept beside its files, readable by the owner only. */
async function passwordOf(root: string): Promise<string> {
  const file = join(root, PASSWORD_FILE);
  if (!existsSync(file)) {
    // Under another name first: a file that is half written must not be taken for the password.
    await writeFile(`${file}.new`, randomBytes(24).toString('hex'), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  return (await readFile(file, 'utf8')).trim();
}

/**
 * Makes the cluster under another name and renames it when it is complete, so that a start which is killed half-way
 * leaves nothing that looks like a cluster.
 */
async function initialise(host: DatabaseHost, files: string, password: string, log: StoreLog): Promise<void> {
  const draft = join(host.home, `${CLUSTER}.new`);
  const passwordFile = join(host.home, `${CLUSTER}.new-password`);
  for (const leftover of [draft, files, passwordFile]) await rm(leftover, { recursive: true, force: true });
  log({ level: 'info', message: 'making the embedded database' });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const given of [draft, passwordFile]) await giveAway(given, host.identity);
  const settings = ['--auth=scram-sha-256', '--encoding=UTF8', '--no-locale', '--no-instructions'];
  try {
    await promisify(execFile)(
      host.initdb,
      [`--pgdata=${draft}`, `--username=${USER}`, `--pwfile=${passwordFile}`, ...settings],
      { cwd: host.home, env: { ...process.env, LC_ALL: 'C' }, ...host.identity },
    );
    await rename(draft, files);
  } catch (cause) {
    throw databaseFailed(host.home, (cause as { stderr?: string }).stderr ?? String(cause), cause);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** Runs the server in a session of its own: Ctrl-C in a terminal must reach us, and only us. */
async function launch(host: DatabaseHost, files: string, port: number, log: StoreLog): Promise<ChildProcess> {
  const settings = SETTINGS.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(host.postgres, ['-D', files, '-p', String(port), ...settings], {
    detached: true,
    cwd: host.home,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    ...host.identity,
  });
  let output = '';
  await new Promise<void>((started, failed) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < 10_000) output += text;
      if (output.includes(READY)) started();
    });
    const fail = (cause?: unknown) => failed(databaseFailed(files, output, cause));
    child.once('error', fail);
    child.once('exit', () => fail());
  });
  child.on('exit', (code, signal) => {
    const how = signal ?? code;
    if (!child.killed) log({ level: 'error', message: `the embedded database ended by itself (${String(how)})` });
  });
  // The service must not be kept alive by its database, nor by the pipe to it.
  child.unref();
  (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
  return child;
}

async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await exited;
}

/**
 * Stops a server that a killed service left behind. It cannot be taken over: it would stay nobody's child, and end with
 * nobody.
 */
async function stopOrphan(files: string, log: StoreLog): Promise<void> {
  const pidFile = join(files, 'postmaster.pid');
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8').split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 1 || !isServerOf(pid, files)) return;
  log({ level: 'warn', message: 'stopping the database that an earlier run left behind' });
  process.kill(pid, 'SIGINT');
  const patience = Date.now() + ORPHAN_PATIENCE_MS;
  while (isServerOf(pid, files)) {
    if (Date.now() > patience) process.kill(pid, 'SIGQUIT');
    await delay(50);
  }
}

/** Whether the process is a PostgreSQL on these files; elsewhere than on Linux, whether it is alive. */
function isServerOf(pid: number, files: string): boolean {
  try {
    process.kill(pid, 0);
    if (process.platform !== 'linux') return true;
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(files);
  } catch {
    return false;
  }
}

function databaseFailed(place: string, output: string, cause: unknown): Failure {
  const lines = output.split('\n').filter((line) => /FATAL|PANIC|error:/.test(line));
  const why = lines.at(-1)?.replace(/^.*?(FATAL|PANIC|error):\s*/, '') ?? 'it gave no reason';
  const sentence = `The embedded database in ${place} could not be started: ${why}.`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
}
