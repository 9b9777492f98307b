import type { Logger } from '../observability/logging.ts';
import { EXIT } from './exit-codes.ts';

/** Time for stopping everything else, after the time for draining. In milliseconds. */
const STOPPING_MS = 10_000;
/** Largest number of errors logged: a repeating error must not fill the disk. */
const MAX_LOGGED = 20;

/**
 * Handles an error that reached no handler. Such an error is a defect and leaves an unknown state: it is logged,
 * running calls are drained, and the process ends with a failure code. Node.js alone would end at once, break running
 * calls, and leave the embedded database running.
 */
export class LastResort {
  /** Fulfilled at the first such error. */
  readonly met: Promise<void>;
  #count = 0;

  /** @param drainMs - time for running calls */
  constructor(log: Pick<Logger, 'fatal'>, drainMs: number) {
    this.met = new Promise((resolve) => {
      const meet = (error: unknown, origin: string) => {
        this.#count++;
        if (this.#count <= MAX_LOGGED) this.#report(log, error, origin);
        // Draining itself may fail.
        if (this.#count === 1) setTimeout(() => process.exit(EXIT.failed), drainMs + STOPPING_MS).unref();
        resolve();
      };
      // Unhandled rejections arrive here, too.
      process.on('uncaughtException', meet);
    });
  }

  get happened(): boolean {
    return this.#count > 0;
  }

  #report(log: Pick<Logger, 'fatal'>, error: unknown, origin: string): void {
    try {
      // A thrown value that is no Error may hold any data, and has no stack.
      const err = error instanceof Error ? error : new Error();
      log.fatal({ err, origin }, 'an error reached no handler: the service stops');
    } catch {
      // The log itself may have failed.
    }
  }
}
