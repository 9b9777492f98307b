import { setImmediate as nextTurn } from 'node:timers/promises';

/** For how long pieces of work are done without a look at anything else, in milliseconds. */
const SLICE_MS = 5;

/** Work of many callers on the one thread, done piece by piece in the order in which it came, and others in between. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #sliceStart = 0;

  /** Does a piece of work when it is its turn. */
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
