import { setImmediate as nextTurn } from 'node:timers/promises';

/** Maximum time spent on queued work before the event loop gets a turn, in milliseconds. */
const SLICE_MS = 5;

/** Runs work of many callers on the main thread in order of arrival, and yields to the event loop in between. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #sliceStart = 0;

  /** Queues a piece of work and runs it in its turn. */
  take<T>(work: () => T): Promise<T> {
    const mine = this.#last.then(async () => {
      if (performance.now() - this.#sliceStart >= SLICE_MS) {
        await nextTurn();
        this.#sliceStart = performance.now();
      }
      return work();
    });
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
