/**
 * Measures the cost of searches that share the machine: a millisecond shared by four counts a quarter for each. A
 * search then costs the same under load as alone, and the costs of a queue add up to the time that the machine needs
 * for it.
 */
export class ProcessorSharingClock {
  #running = 0;
  #shared = 0;
  #at = 0;

  /** Begins a piece of work. @returns a function that ends it and returns its cost in ms */
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
