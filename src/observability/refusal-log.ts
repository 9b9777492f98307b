import { LineLimit } from './line-limit.ts';
import type { Logger } from './logging.ts';

/** Something that was refused before it became a call. Nothing in it comes from the caller. */
export interface Refusal {
  /** Where, e.g. `http` or `grpc`. */
  readonly surface: string;
  readonly reason: string;
  /** Constant facts, e.g. the HTTP status. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** Lines for one reason in ten seconds; what is more is counted and said with the next one. */
const MAX_LINES = 20;

/**
 * Counts and logs refusals. Each is counted; of many for the same reason few are logged, so that a scanner cannot fill the
 * disk.
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
