import { Failure } from '../../failure.ts';
import { FairTurns, NO_PARTY, type Asker, type Party } from '../../fair-turns.ts';
import { ProcessorSharingClock } from './processor-sharing-clock.ts';

/**
 * Level of urgency by kind, the most urgent first. Searches for duplicates take turns with other searches. Their cost is
 * of its own: with all references of a subject they take several times as long, and searches that wait for few of them
 * would be refused for a wait that never comes.
 */
const LEVELS = { verification: 0, search: 1, duplicates: 1 } as const;
type Kind = keyof typeof LEVELS;
/** The kind whose cost stands for those that wait on a level. */
const KIND_OF_LEVEL = ['verification', 'search'] as const;
/** Weight of the newest cost in the running mean of a kind. */
const SHARE_OF_NEWEST = 0.1;
/** Search times vary: rejecting a search that would have been in time is better than answering one too late. */
const CAUTION = 1.25;
const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 10_000;

/** A search that asks for admission. */
export interface Waiting extends Asker {
  /** The caller's deadline, in milliseconds since 1970; Infinity: unknown. */
  readonly deadlineMs: number;
  /** A verification takes only a few comparisons and precedes waiting searches. `duplicates`: with an enrolled subject. */
  readonly kind: Kind;
  /** A partial answer is accepted, however little time is left when the turn comes. */
  readonly partial?: boolean;
}

/**
 * Lets a bounded number of searches run and a bounded number wait. Callers take turns. When the queue is full, the
 * newest search of the caller with the most is refused at once: under overload an early refusal is better than an ever
 * longer wait. A search whose estimated wait exceeds its deadline is refused too: a late answer costs as much as a
 * timely one.
 */
export class AdmissionQueue {
  readonly #turns: FairTurns;
  readonly #concurrency: number;
  readonly #onWait: (waitedMs: number) => void;
  readonly #time = new ProcessorSharingClock();
  /** Mean cost of each kind, in ms of the whole machine; 0 until the first has ended. */
  readonly #costs: Record<Kind, number> = { search: 0, verification: 0, duplicates: 0 };

  /**
   * @param running - searches that may run at the same time, at least 1
   * @param maxWaiting - searches that may wait
   * @param onWait - called with the wait of each search
   */
  constructor(running: number, maxWaiting: number, onWait: (waitedMs: number) => void = () => undefined) {
    const full = (party: Party, level: number) => this.#full(party, level);
    this.#turns = new FairTurns(running, maxWaiting, full, KIND_OF_LEVEL.length);
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
   * Runs the search in its turn.
   * @throws Failure QUEUE_FULL; QUEUE_TOO_LONG when the requests ahead take longer than the deadline allows; the
   * signal's reason when it is aborted before or during the wait
   */
  async run<T>(who: Waiting, search: () => Promise<T>): Promise<T> {
    const { signal, kind } = who;
    signal.throwIfAborted();
    if (this.#turns.isBusy) this.#requireTime(who);
    const arrived = performance.now();
    // An aborted search keeps its slot until its last task has ended. A waiting one leaves the queue at once.
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
    return this.#turns.run(who, work, LEVELS[kind]);
  }

  /** Time for the requests ahead in the queue, plus one running search, since a slot must become free. */
  #waitMs(party: Party, level: number): number {
    const ahead = this.#turns.ahead(party, level);
    return KIND_OF_LEVEL.reduce((total, kind, i) => total + (ahead[i] ?? 0) * this.#costs[kind], this.#costs.search);
  }

  #requireTime({ party = () => NO_PARTY, deadlineMs, kind, partial = false }: Waiting): void {
    // A request without room is refused with QUEUE_FULL, by `#full`.
    if (!this.#turns.hasRoom(party())) return;
    const waitMs = this.#waitMs(party(), LEVELS[kind]);
    const ownMs = partial ? 0 : this.#concurrency * this.#costs[kind];
    const lateMs = Date.now() + CAUTION * (waitMs + ownMs) - deadlineMs;
    if (lateMs > 0) {
      const sentence = 'The waiting searches will take longer than the deadline allows; try again shortly.';
      throw new Failure('resource-exhausted', 'QUEUE_TOO_LONG', sentence, { retryAfterMs: retryAfter(lateMs) });
    }
  }

  #full(party: Party, level: number): Failure {
    // Half of the queue is served by then: refused callers that come back find room.
    const retryAfterMs = retryAfter(this.#waitMs(party, level) / 2);
    const sentence = 'Too many searches are waiting; try again shortly.';
    return new Failure('resource-exhausted', 'QUEUE_FULL', sentence, { retryAfterMs });
  }

  /** @param whole - whether it was completed; the cost of a failed or stopped search is only a lower bound */
  #note(kind: Kind, cost: number, whole: boolean): void {
    const mean = this.#costs[kind];
    if (!whole && cost <= mean) return;
    this.#costs[kind] = mean === 0 ? cost : mean + SHARE_OF_NEWEST * (cost - mean);
  }
}

function retryAfter(milliseconds: number): number {
  return Math.round(Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, milliseconds)));
}
