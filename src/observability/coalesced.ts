/** Largest share of the thread's time; the rest is for searches. */
const SHARE = 0.1;
/** Longest wait for the work to begin, however long it took before. */
const MAX_WAIT_MS = 1000;

/** One computation of the answer, with the callers that wait for it. */
class Round<T> {
  readonly #gone = new AbortController();
  readonly result: Promise<T>;
  #askers = 0;

  constructor(make: (signal: AbortSignal) => Promise<T>) {
    this.result = make(this.#gone.signal);
    // All callers may be gone: an error must not count as unhandled.
    this.result.catch(() => undefined);
  }

  get isGivenUp(): boolean {
    return this.#gone.signal.aborted;
  }

  /** @throws what the signal is aborted with, as soon as it is */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#askers++;
    if (signal === undefined) return this.result;
    const gone = Promise.withResolvers<never>();
    const leave = () => {
      if (--this.#askers === 0) this.#gone.abort(signal.reason);
      gone.reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await Promise.race([this.result, gone.promise]);
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }
}

/**
 * An answer shared by concurrent callers. Callers share the next computation that begins. However many callers there
 * are, computing answers takes at most a tenth of the thread's time. No caller gets an answer begun before its request.
 */
export class Coalesced<T> {
  readonly #make: (signal: AbortSignal) => Promise<T>;
  #next: Round<T> | undefined;
  /** Settles when the current answer is made. */
  #underWay: Promise<unknown> = Promise.resolve();
  #notBefore = 0;

  /** @param make - may stop when its signal is aborted: all its callers are gone then */
  constructor(make: (signal: AbortSignal) => Promise<T>) {
    this.#make = make;
  }

  /**
   * @param signal - aborted when the caller is gone
   * @throws what the signal is aborted with
   */
  async get(signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#next === undefined || this.#next.isGivenUp)
      this.#next = new Round<T>((gone) => this.#afterTheOneBefore(gone));
    return this.#next.wait(signal);
  }

  async #afterTheOneBefore(gone: AbortSignal): Promise<T> {
    await this.#underWay;
    const wait = Math.min(MAX_WAIT_MS, this.#notBefore - performance.now());
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    gone.throwIfAborted();
    // Later callers must not get this answer: it began before their request.
    this.#next = undefined;
    const made = this.#measured(gone);
    this.#underWay = made.catch(() => undefined);
    return made;
  }

  async #measured(gone: AbortSignal): Promise<T> {
    const started = performance.now();
    try {
      return await this.#make(gone);
    } finally {
      const ended = performance.now();
      this.#notBefore = ended + (ended - started) * (1 / SHARE - 1);
    }
  }
}
