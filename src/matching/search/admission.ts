import PQueue from 'p-queue';
import { Failure } from '../../failure.ts';
import { ProcessorSharingClock } from './processor-sharing-clock.ts';

const PRIORITY = { search: 0, verification: 1 } as const;
const KINDS = ['search', 'verification'] as const;
/** Share of the newest in the running mean of what one costs. */
const SHARE_OF_NEWEST = 0.1;
/** Searches take unequal time: better to refuse one that would have been in time than to answer one too late. */
const CAUTION = 1.25;
const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 10_000;

/** What is known of a search that asks for admission. */
export interface Waiting {
  /** Gives up the place in the queue when aborted. */
  readonly signal: AbortSignal;
  /** When nobody waits for the answer any more, in milliseconds since 1970; Infinity: not known. */
  readonly deadlineMs: number;
  /** A verification is a few comparisons: it goes before the searches that wait. */
  readonly kind: 'search' | 'verification';
  /** An answer with what there was time for will do, however short the time when the turn has come. */
  readonly partial?: boolean;
}

/**
 * Lets a bounded number of searches run and a bounded number wait; refuses the rest at once, so that a crowd gets clear
 * answers instead of an ever longer wait. Refused is also who would wait beyond the deadline: an answer that comes too
 * late has cost those who wait as much as one in time.
 */
export class AdmissionQueue {
  readonly #queue: PQueue;
  readonly #maxWaiting: number;
  readonly #onWait: (waitedMs: number) => void;
  readonly #time = new ProcessorSharingClock();
  /** What one of each kind costs the machine, in milliseconds; 0 until one has ended. */
  readonly #costs = { search: 0, verification: 0 };

  /**
   * @param running - searches under way at the same time, at least 1
   * @param maxWaiting - searches that may wait
   * @param onWait - told how long each search waited
   */
  constructor(running: number, maxWaiting: number, onWait: (waitedMs: number) => void = () => undefined) {
    this.#queue = new PQueue({ concurrency: running });
    this.#maxWaiting = maxWaiting;
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
   * @throws Failure QUEUE_FULL; QUEUE_TOO_LONG when those that go before it will take until the deadline; the signal's
   * reason when it is aborted before or during the wait
   */
  async run<T>(who: Waiting, search: () => Promise<T>): Promise<T> {
    const { signal, kind } = who;
    signal.throwIfAborted();
    if (this.#queue.pending >= this.#queue.concurrency) this.#requireRoom(who);
    const arrived = performance.now();
    // A search that runs keeps its place until its last task has ended; only one that waits gives it up at once.
    const waiting = new AbortController();
    const giveUp = () => waiting.abort(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    const work = async () => {
      signal.removeEventListener('abort', giveUp);
      signal.throwIfAborted();
      this.#onWait(performance.now() - arrived);
      const end = this.#time.begin();
      let whole = false;
      try {
        const result = await search();
        whole = true;
        return result;
      } finally {
        this.#note(kind, end(), whole);
      }
    };
    try {
      return await this.#queue.add(work, { signal: waiting.signal, priority: PRIORITY[kind] });
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  #requireRoom({ deadlineMs, kind, partial = false }: Waiting): void {
    const { size, concurrency } = this.#queue;
    // Those of its own kind, and those that go before it: also one that runs, for a place has to become free.
    const ahead = KINDS.filter((other) => PRIORITY[other] >= PRIORITY[kind]);
    const costOf = (of: Waiting['kind']) => this.#queue.sizeBy({ priority: PRIORITY[of] }) * this.#costs[of];
    const waitMs = ahead.reduce((sum, other) => sum + costOf(other), this.#costs.search);
    if (size >= this.#maxWaiting) {
      // Half of those who wait are gone by then: all who were refused come back, and find room for as many.
      throw new Failure('resource-exhausted', 'QUEUE_FULL', 'Too many searches are waiting; try again shortly.', {
        retryAfterMs: retryAfter(waitMs / 2),
      });
    }
    const ownMs = partial ? 0 : concurrency * this.#costs[kind];
    const lateMs = Date.now() + CAUTION * (waitMs + ownMs) - deadlineMs;
    if (lateMs > 0) {
      const sentence = 'The searches that are waiting will take longer than the deadline allows; try again shortly.';
      throw new Failure('resource-exhausted', 'QUEUE_TOO_LONG', sentence, { retryAfterMs: retryAfter(lateMs) });
    }
  }

  /** @param whole - it was carried out; of one that failed or was stopped it is known only that it costs no less */
  #note(kind: Waiting['kind'], cost: number, whole: boolean): void {
    const mean = this.#costs[kind];
    if (!whole && cost <= mean) return;
    this.#costs[kind] = mean === 0 ? cost : mean + SHARE_OF_NEWEST * (cost - mean);
  }
}

function retryAfter(milliseconds: number): number {
  return Math.round(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, milliseconds)));
}
