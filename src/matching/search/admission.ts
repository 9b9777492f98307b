import { Failure } from '../../failure.ts';
import { FairTurns, NO_PARTY, type Asker, type Party } from '../../fair-turns.ts';
import { ProcessorSharingClock } from './processor-sharing-clock.ts';

/** In order of their urgency. */
const KINDS = ['verification', 'search'] as const;
/** Share of the newest in the running mean of what one costs. */
const SHARE_OF_NEWEST = 0.1;
/** Search times vary: rejecting a search that would have been in time is better than answering one too late. */
const CAUTION = 1.25;
const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 10_000;

/** What is known of a search that asks for admission. */
export interface Waiting extends Asker {
  /** When the caller stops waiting for the answer, in milliseconds since 1970; Infinity: not known. */
  readonly deadlineMs: number;
  /** A verification is a few comparisons: it goes before waiting searches. */
  readonly kind: 'search' | 'verification';
  /** A partial answer is accepted, however little time is left when the turn comes. */
  readonly partial?: boolean;
}

/**
 * Lets a bounded number of searches run and a bounded number wait, callers in turn; refuses the rest at once, so that a
 * crowd gets clear answers instead of an ever longer wait: the newest of the caller who has most. Refused is also who would wait beyond the deadline: an answer that comes too
 * late has cost those who wait as much as one in time.
 */
export class AdmissionQueue {
  readonly #turns: FairTurns;
  readonly #concurrency: number;
  readonly #onWait: (waitedMs: number) => void;
  readonly #time = new ProcessorSharingClock();
  /** Mean cost of each kind, in ms of the whole machine; 0 until one has ended. */
  readonly #costs = { search: 0, verification: 0 };

  /**
   * @param running - searches that may run at the same time, at least 1
   * @param maxWaiting - searches that may wait
   * @param onWait - called with the wait of each search
   */
  constructor(running: number, maxWaiting: number, onWait: (waitedMs: number) => void = () => undefined) {
    const full = (party: Party, level: number) => this.#full(party, level);
    this.#turns = new FairTurns(running, maxWaiting, full, KINDS.length);
    this.#concurrency = running;
    this.#onWait = onWait;
  }

  /** Waiting searches. */
  get waiting(): number {
    return this.#turns.waiting;
  }

  /** Running searches. */
  get running(): number {
    return this.#turns.running;
  }

  /** Resolves when no search is running or waiting. */
  idle(): Promise<void> {
    return this.#turns.idle();
  }

  /**
   * Runs the work when its turn has come.
   * @throws Failure QUEUE_FULL; QUEUE_TOO_LONG when the requests ahead take longer than the deadline allows; the
   * signal's reason when it is aborted before or during the wait
   */
  async run<T>(who: Waiting, search: () => Promise<T>): Promise<T> {
    const { signal, kind } = who;
    signal.throwIfAborted();
    if (this.#turns.isBusy) this.#requireTime(who);
    const arrived = performance.now();
    // A search that runs keeps its place until its last task has ended; only one that waits gives it up at once.
    const work = async () => {
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
    return this.#turns.run(who, work, KINDS.indexOf(kind));
  }

  /** Those that go before it take their time: also one that runs, for a place has to become free. */
  #waitMs(party: Party, level: number): number {
    const ahead = this.#turns.ahead(party, level);
    return KINDS.reduce((total, kind, i) => total + (ahead[i] ?? 0) * this.#costs[kind], this.#costs.search);
  }

  #requireTime({ party = () => NO_PARTY, deadlineMs, kind, partial = false }: Waiting): void {
    // Who finds no room is told that.
    if (!this.#turns.hasRoom(party())) return;
    const waitMs = this.#waitMs(party(), KINDS.indexOf(kind));
    const ownMs = partial ? 0 : this.#concurrency * this.#costs[kind];
    const lateMs = Date.now() + CAUTION * (waitMs + ownMs) - deadlineMs;
    if (lateMs > 0) {
      const sentence = 'The searches that are waiting will take longer than the deadline allows; try again shortly.';
      throw new Failure('resource-exhausted', 'QUEUE_TOO_LONG', sentence, { retryAfterMs: retryAfter(lateMs) });
    }
  }

  #full(party: Party, level: number): Failure {
    // Half of those who wait are gone by then: all who were refused come back, and find room for as many.
    const retryAfterMs = retryAfter(this.#waitMs(party, level) / 2);
    const sentence = 'Too many searches are waiting; try again shortly.';
    return new Failure('resource-exhausted', 'QUEUE_FULL', sentence, { retryAfterMs });
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
