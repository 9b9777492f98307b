/** Connections of the pool are few and calls are many: calls take turns for them, in queues that cannot starve each other. */
import { FairTurns, type Asker } from '../fair-turns.ts';
import { storeBusy } from './store-failure.ts';

/**
 * What calls want of the store: a change, one subject, or a page of them, which is many reads. Together they leave
 * connections to what follows the changes.
 */
const TURNS = { change: 5, read: 3, listing: 2 } as const;
/** Calls that may wait for each. */
const MAX_WAITING = { change: 1024, read: 1024, listing: 256 } as const;

/**
 * Calls wait here and not for the pool, which knows neither callers nor deadlines and gives up after some seconds. Who
 * does not want an answer any more gives up the turn at once, and a change that has begun is carried through.
 */
export class StoreTurns {
  readonly #turns = {
    change: new FairTurns(TURNS.change, MAX_WAITING.change, storeBusy),
    read: new FairTurns(TURNS.read, MAX_WAITING.read, storeBusy),
    listing: new FairTurns(TURNS.listing, MAX_WAITING.listing, storeBusy),
  };

  /**
   * @param asker - not given: work of the service's own, which does not wait
   * @throws Failure STORE_BUSY; the signal's reason when it is aborted before the turn has come
   */
  take<T>(kind: keyof typeof TURNS, asker: Asker | undefined, work: () => Promise<T>): Promise<T> {
    return asker === undefined ? work() : this.#turns[kind].run(asker, work);
  }
}
