/**
 * Decoding is done by the thread that answers everybody. A sample takes up to ten milliseconds, a request holds 32 of
 * them, a stream a thousand requests: so samples are decoded one at a time, whichever request they belong to, and
 * between them whatever else there is gets its turn.
 */
import { Turns } from './turns.ts';

const decoding = new Turns();

/** Does a piece of decoding when it is its turn. */
export function inTurn<T>(work: () => T): Promise<T> {
  return decoding.take(work);
}
