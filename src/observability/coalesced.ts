/** Of the thread's time; the rest is the searches'. */
const SHARE = 0.1;
/** Nobody waits longer than that for the work to begin, however long it took before. */
const MAX_WAIT_MS = 1000;

/**
 * An answer that is the same for everybody who asks at the time: those who come while nobody works on it get one answer
 * together, and however many ask, working on it takes no more than a tenth of the thread's time. Nobody gets an answer
 * that was begun before they asked.
 */
export class Coalesced<T> {
  readonly #make: () => Promise<T>;
  #next: Promise<T> | undefined;
  /** Settles when what is being made has been made. */
  #underWay: Promise<unknown> = Promise.resolve();
  #notBefore = 0;

  constructor(make: () => Promise<T>) {
    this.#make = make;
  }

  get(): Promise<T> {
    return (this.#next ??= this.#afterTheOneBefore());
  }

  async #afterTheOneBefore(): Promise<T> {
    await this.#underWay;
    const wait = Math.min(MAX_WAIT_MS, this.#notBefore - performance.now());
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    // Whoever comes from now on would get something old.
    this.#next = undefined;
    const made = this.#measured();
    this.#underWay = made.catch(() => undefined);
    return made;
  }

  async #measured(): Promise<T> {
    const started = performance.now();
    try {
      return await this.#make();
    } finally {
      const ended = performance.now();
      this.#notBefore = ended + (ended - started) * (1 / SHARE - 1);
    }
  }
}
