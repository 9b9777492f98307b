/**
 * What pieces of work cost that share the machine: a millisecond in which four run counts a quarter for each. So a search
 * costs the same in a crowd as alone, and the cost of those who wait is how long the machine will take for them.
 */
export class ProcessorSharingClock {
  #running = 0;
  #shared = 0;
  #at = 0;

  /** @returns ends the piece of work that begins now, and tells its cost in milliseconds */
  begin(): () => number {
    this.#pass(1);
    const began = this.#shared;
    return () => {
      this.#pass(-1);
      return this.#shared - began;
    };
  }

  #pass(change: 1 | -1): void {
    const now = performance.now();
    if (this.#running > 0) this.#shared += (now - this.#at) / this.#running;
    this.#at = now;
    this.#running += change;
  }
}
