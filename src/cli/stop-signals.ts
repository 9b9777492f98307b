import { constants } from 'node:os';
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

/** Requests to stop that reach the process as signals. */
export class StopSignals {
  /** Aborted by the first request to stop; its reason is the signal. */
  readonly asked: AbortSignal;
  /** Aborted by a second request: the process must not wait any longer. */
  readonly hurried: AbortSignal;
  #handlers = new Map<NodeJS.Signals, () => void>();

  /** @param onMeaningless - called for signals that have no effect */
  constructor(onMeaningless: (signal: NodeJS.Signals) => void = () => undefined) {
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
        else onRequest(signal);
      });
    }
    for (const signal of MEANINGLESS) this.#on(signal, () => onMeaningless(signal));
  }

  /** Restores the default action of the signals. */
  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
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
