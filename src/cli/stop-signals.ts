import { constants } from 'node:os';
import { launch } from './launch.ts';

/**
 * Every signal that would end the process and can be caught: each asks it to end in order, whatever its name. Left out
 * are those that tell of a fault of the process itself (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS), after
 * which nothing can be done in order, and real-time signals, which Node.js cannot catch.
 */
const ENDING = [
  ...(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGALRM', 'SIGVTALRM', 'SIGPROF'] as const),
  ...(['SIGXCPU', 'SIGIO', 'SIGPWR', 'SIGSTKFLT', 'SIGLOST'] as const),
].filter((signal) => signal in constants.signals);
/** Others would end it, too, but are sent by tools that mean something else, as to open log files again. */
const MEANINGLESS = ['SIGUSR1', 'SIGUSR2'] as const;

/**
 * One Ctrl-C comes several times: from the terminal, and from each of npm and its kin that passes it on. What follows
 * the first within this time is the same request, in milliseconds.
 */
const SAME_REQUEST_MS = 1000;

/** What a process is told from outside. */
export class StopSignals {
  /** Set off by the first request to end; its reason is the signal. */
  readonly asked: AbortSignal;
  /** Set off by a second one: it is not to wait for anything any more. */
  readonly hurried: AbortSignal;
  #handlers = new Map<NodeJS.Signals, () => void>();

  /** @param onMeaningless - told of signals that change nothing */
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
      // In order it does not end: then at once.
      else process.exit(exitCodeOf(reason));
    };
    for (const signal of ENDING) {
      // A listener takes the signal from those who have it ignored.
      const isIgnored = signal === 'SIGHUP' && launch.ignoresHangup;
      this.#on(signal, () => {
        if (isIgnored) onMeaningless(signal);
        else onRequest(signal);
      });
    }
    for (const signal of MEANINGLESS) this.#on(signal, () => onMeaningless(signal));
  }

  /** Signals do again what they do by themselves. */
  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #on(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }
}

/** What a process ends with that was ended by a signal, as shells have it. */
export function exitCodeOf(reason: NodeJS.Signals): number {
  return 128 + constants.signals[reason];
}

/** The end of a command that was told to end before its work was done. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(reason: NodeJS.Signals) {
    super(`Stopped by ${reason}.`);
    this.name = 'Interrupted';
    this.exitCode = exitCodeOf(reason);
  }
}
