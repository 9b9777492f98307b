/** Shares the pool's few connections among many calls, in separate queues that cannot starve each other. */
import { FairTurns, type Asker } from '../fair-turns.ts';
import { storeBusy } from './store-failure.ts';

/**
 * Maximum number of concurrent calls by kind: a change, the read of one subject, or a page of subjects, which is many
 * reads. In total they leave connections for reading the change sequence.
 */
const TURNS = { change: 5, read: 3, listing: 2 } as const;
/** Maximum number of waiting calls by kind. */
const MAX_WAITING = { change: 1024, read: 1024, listing: 256 } as const;

/**
 * Calls wait here instead of in the pool, which distinguishes neither callers nor deadlines and gives up after some
 * seconds. A cancelled call leaves the queue at once; a change that has begun is completed.
 */
export class StoreTurns {
  readonly #turns = {
    change: new FairTurns(TURNS.change, MAX_WAITING.change, storeBusy),
    read: new FairTurns(TURNS.read, MAX_WAITING.read, storeBusy),
    listing: new FairTurns(TURNS.listing, MAX_WAITING.listing, storeBusy),
  };

  /**
   * @param asker - not given: work of the service itself, which does not wait
   * @throws Failure STORE_BUSY; the signal's reason when it is aborted before the turn has come
   */
  take<T>(kind: keyof typeof TURNS, asker: Asker | undefined, work: () => Promise<T>): Promise<T> {
    return asker === undefined ? work() : this.#turns[kind].run(asker, work);
  }
}
