import { LineLimit } from './line-limit.ts';
import type { Logger } from './logging.ts';

/** A refusal before there is a call. Nothing in it comes from the caller. */
export interface Refusal {
  /** `http` or `grpc`, for example. */
  readonly surface: string;
  readonly reason: string;
  /** Constant facts, e.g. the HTTP status. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** Lines for one reason in ten seconds. More are counted; the next line has their number. */
const MAX_LINES = 20;

/**
 * Counts every refusal and logs a limited number for each reason: a scanner cannot fill the disk.
 */
export class RefusalLog {
  readonly #log: Logger;
  readonly #count: (reason: string) => void;
  readonly #limit = new LineLimit(MAX_LINES);

  constructor(log: Logger, count: (reason: string) => void) {
    this.#log = log;
    this.#count = count;
  }

  report({ surface, reason, facts }: Refusal): void {
    this.#count(reason);
    const more = this.#limit.admit(reason);
    if (more !== undefined) this.#log.info({ surface, reason, ...facts, ...more }, 'refused');
  }
}
