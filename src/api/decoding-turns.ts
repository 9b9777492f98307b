/**
 * Decoding is done by the thread that answers everybody. A sample takes up to ten milliseconds, a request holds 32 of
 * them, a stream a thousand requests: so samples are decoded one at a time, whichever request they belong to, and
 * between them whatever else there is gets its turn.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** For how long samples are decoded without a look at anything else, in milliseconds. */
const SLICE_MS = 5;

let last: Promise<unknown> = Promise.resolve();
let sliceStart = 0;

/** Does a piece of decoding when it is its turn. */
export function inTurn<T>(work: () => T): Promise<T> {
  const mine = last.then(async () => {
    if (performance.now() - sliceStart >= SLICE_MS) {
      await nextTurn();
      sliceStart = performance.now();
    }
    return work();
  });
  last = mine.catch(() => undefined);
  return mine;
}
