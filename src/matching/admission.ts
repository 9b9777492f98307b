import PQueue from 'p-queue';
import { Failure } from '../failure.ts';

/**
 * Lets a bounded number of searches run and a bounded number wait; refuses the rest at once, so that a crowd gets clear
 * answers instead of an ever longer wait.
 */
export class AdmissionQueue {
  readonly #queue: PQueue;
  readonly #mostWaiting: number;
  readonly #onWait: (waitedMs: number) => void;

  /**
   * @param running - searches under way at the same time, at least 1
   * @param mostWaiting - searches that may wait
   * @param onWait - told how long each search waited
   */
  constructor(running: number, mostWaiting: number, onWait: (waitedMs: number) => void = () => undefined) {
    this.#queue = new PQueue({ concurrency: running });
    this.#mostWaiting = mostWaiting;
    this.#onWait = onWait;
  }

  /** Searches that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Searches under way. */
  get running(): number {
    return this.#queue.pending;
  }

  /** Resolves when no search is under way or waiting. */
  idle(): Promise<void> {
    return this.#queue.onIdle();
  }

  /**
   * Runs the work when its turn has come.
   * @param signal - gives up the place in the queue when aborted
   * @throws Failure QUEUE_FULL; the signal's reason when it is aborted before or during the wait
   */
  async run<T>(signal: AbortSignal, search: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#queue.size >= this.#mostWaiting && this.#queue.pending >= this.#queue.concurrency) {
      throw new Failure('resource-exhausted', 'QUEUE_FULL', 'Too many searches are waiting; try again shortly.', {
        retryAfterMs: 250,
      });
    }
    const arrived = performance.now();
    // A search that runs keeps its place until its last task has ended; only one that waits gives it up at once.
    const waiting = new AbortController();
    const giveUp = () => waiting.abort(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    const work = () => {
      signal.removeEventListener('abort', giveUp);
      signal.throwIfAborted();
      this.#onWait(performance.now() - arrived);
      return search();
    };
    try {
      return await this.#queue.add(work, { signal: waiting.signal });
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }
}
