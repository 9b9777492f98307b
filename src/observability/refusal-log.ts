import type { Logger } from './logging.ts';

/** Something that was refused before it became a call. Nothing in it comes from the caller. */
export interface Refusal {
  /** Where, e.g. `http` or `grpc`. */
  readonly surface: string;
  readonly reason: string;
  /** Constant facts, e.g. the HTTP status. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** Lines for one reason in one interval; what is more is counted and said with the next one. */
const MOST_LINES = 20;
const INTERVAL_MS = 10_000;

interface Window {
  begun: number;
  lines: number;
  unsaid: number;
}

/**
 * Counts and logs refusals. Each is counted; of many for the same reason few are logged, so that a scanner cannot fill the
 * disk.
 */
export class RefusalLog {
  readonly #log: Logger;
  readonly #count: (reason: string) => void;
  readonly #windows = new Map<string, Window>();

  constructor(log: Logger, count: (reason: string) => void) {
    this.#log = log;
    this.#count = count;
  }

  report({ surface, reason, facts }: Refusal): void {
    this.#count(reason);
    const now = performance.now();
    const window = this.#windows.get(reason) ?? { begun: now, lines: 0, unsaid: 0 };
    this.#windows.set(reason, window);
    if (now - window.begun > INTERVAL_MS) [window.begun, window.lines] = [now, 0];
    if (window.lines >= MOST_LINES) {
      window.unsaid++;
      return;
    }
    window.lines++;
    this.#log.info({ surface, reason, ...facts, ...(window.unsaid > 0 && { unsaid: window.unsaid }) }, 'refused');
    window.unsaid = 0;
  }
}
