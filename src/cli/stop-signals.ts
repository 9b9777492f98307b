import { constants } from 'node:os';
import { ControllingTerminal } from './controlling-terminal.ts';
import { launch } from './launch.ts';

/**
 * Signals that would end the process and can be caught. Each requests an orderly stop. Excluded are signals that report
 * a fault of the process itself (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS), after which an orderly
 * stop is impossible, and real-time signals, which Node.js cannot catch.
 */
const ENDING = [
  ...(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGALRM', 'SIGVTALRM', 'SIGPROF'] as const),
  ...(['SIGXCPU', 'SIGIO', 'SIGPWR', 'SIGSTKFLT', 'SIGLOST'] as const),
].filter((signal) => signal in constants.signals);
/** These would end the process, too, but tools send them for other purposes, such as reopening log files. */
const MEANINGLESS = ['SIGUSR1', 'SIGUSR2'] as const;

/**
 * One Ctrl-C arrives several times: from the terminal, and from each wrapper, such as npm, that passes it on. Signals
 * within this time of the first are one request, in milliseconds.
 */
const SAME_REQUEST_MS = 1000;

/**
 * A shell that ends sends SIGHUP to its jobs before its terminal closes. This is how long the terminal is watched after a
 * SIGHUP, and how often. In milliseconds.
 */
const CLOSING_MS = 10_000;
const LOOK_MS = 200;

export interface SignalListeners {
  /** Called for signals that have no effect. */
  readonly onMeaningless?: (signal: NodeJS.Signals) => void;
  /**
   * Called for a SIGHUP that does not come from the terminal: a request to read files again. Without it every SIGHUP is
   * a request to stop.
   */
  readonly onHangup?: () => void;
}

/** Requests to stop that reach the process as signals. */
export class StopSignals {
  /** Aborted by the first request to stop; its reason is the signal. */
  readonly asked: AbortSignal;
  /** Aborted by a second request: the process must not wait any longer. */
  readonly hurried: AbortSignal;
  #handlers = new Map<NodeJS.Signals, () => void>();

  readonly #terminal = new ControllingTerminal();
  #watching: NodeJS.Timeout | undefined;

  constructor({ onMeaningless = () => undefined, onHangup }: SignalListeners = {}) {
    const [asked, hurried] = [new AbortController(), new AbortController()];
    this.asked = asked.signal;
    this.hurried = hurried.signal;
    let last = -Infinity;
    const onRequest = (reason: NodeJS.Signals) => {
      const now = performance.now();
      if (now - last < SAME_REQUEST_MS) return;
      last = now;
      if (!asked.signal.aborted) asked.abort(reason);
      else if (!hurried.signal.aborted) hurried.abort(reason);
      // The orderly stop has not ended: exit at once.
      else process.exit(exitCodeOf(reason));
    };
    for (const signal of ENDING) {
      // A listener would override that the signal is ignored.
      const isIgnored = signal === 'SIGHUP' && launch.ignoresHangup;
      this.#on(signal, () => {
        if (isIgnored) onMeaningless(signal);
        else if (signal !== 'SIGHUP' || onHangup === undefined || this.#terminal.isClosed) onRequest(signal);
        else {
          onHangup();
          this.#watchTerminal(() => onRequest(signal));
        }
      });
    }
    for (const signal of MEANINGLESS) this.#on(signal, () => onMeaningless(signal));
  }

  /** Restores the default action of the signals. */
  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
    clearInterval(this.#watching);
  }

  /** @param onClosed - called if the terminal closes soon: it must not leave a service behind unnoticed */
  #watchTerminal(onClosed: () => void): void {
    clearInterval(this.#watching);
    let looks = CLOSING_MS / LOOK_MS;
    this.#watching = setInterval(() => {
      const { isClosed } = this.#terminal;
      if (isClosed || --looks <= 0) clearInterval(this.#watching);
      if (isClosed) onClosed();
    }, LOOK_MS);
    this.#watching.unref();
  }

  #on(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }
}

/** Exit code of a process ended by a signal, by the convention of shells. */
export function exitCodeOf(reason: NodeJS.Signals): number {
  return 128 + constants.signals[reason];
}

/** A command was stopped by a signal before its work was done. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(reason: NodeJS.Signals) {
    super(`Stopped by ${reason}.`);
    this.name = 'Interrupted';
    this.exitCode = exitCodeOf(reason);
  }
}
