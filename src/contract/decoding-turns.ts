/**
 * Decoding runs on the main thread, which serves all callers. A sample takes up to ten milliseconds, a request holds up
 * to 32 samples, a stream a thousand requests. Samples of all requests are therefore decoded one at a time, and other
 * events are handled in between.
 */
import { Turns } from '../turns.ts';

const decoding = new Turns();

/** Queues a piece of decoding work. */
export function inTurn<T>(work: () => T): Promise<T> {
  return decoding.take(work);
}
