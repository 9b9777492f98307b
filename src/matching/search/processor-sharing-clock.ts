/**
 * The cost of pieces of work that share the machine: a millisecond shared by four counts a quarter for each. A search
 * then costs the same under load as alone, and the summed cost of a queue is the time the machine needs for it.
 */
export class ProcessorSharingClock {
  #running = 0;
  #shared = 0;
  #at = 0;

  /** @returns a function that ends the piece of work that begins now, and returns its cost in ms */
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
