import type { Logger } from '../observability/logging.ts';
import { EXIT } from './exit-codes.ts';

/** Beyond the time for draining: for everything else that is stopped. In milliseconds. */
const STOPPING_MS = 10_000;
/** Errors that are logged; one that repeats itself must not fill the disk. */
const MAX_LOGGED = 20;

/**
 * What is done about an error that reached no handler. That is a defect, and what state it left is not known: it is
 * logged, the calls under way are drained, and the process ends with a code that says so. Node.js alone would end it at
 * once, with every call under way, and leave the embedded database behind.
 */
export class LastResort {
  /** Fulfilled at the first such error. */
  readonly met: Promise<void>;
  #count = 0;

  /** @param drainMs - calls under way have this time */
  constructor(log: Pick<Logger, 'fatal'>, drainMs: number) {
    this.met = new Promise((resolve) => {
      const meet = (error: unknown, origin: string) => {
        this.#count++;
        if (this.#count <= MAX_LOGGED) this.#report(log, error, origin);
        // Draining may itself be what does not work any more.
        if (this.#count === 1) setTimeout(() => process.exit(EXIT.failed), drainMs + STOPPING_MS).unref();
        resolve();
      };
      // Rejections that are not handled come here, too.
      process.on('uncaughtException', meet);
    });
  }

  get happened(): boolean {
    return this.#count > 0;
  }

  #report(log: Pick<Logger, 'fatal'>, error: unknown, origin: string): void {
    try {
      // What is no error may hold anything, and has no place to tell.
      const err = error instanceof Error ? error : new Error();
      log.fatal({ err, origin }, 'an error reached no handler: the service stops');
    } catch {
      // The log itself may be what failed.
    }
  }
}
