/**
 * Milliseconds that never go back. Limits must not follow the clock of the machine: to set it back or forward, or a
 * correction of it, would refill them.
 */
export class SteadyClock {
  readonly #source: () => number;
  #last = -Infinity;

  /** @param source - a monotonic source; by default that of the process */
  constructor(source: () => number = () => performance.now()) {
    this.#source = source;
  }

  now(): number {
    this.#last = Math.max(this.#last, this.#source());
    return this.#last;
  }
}
