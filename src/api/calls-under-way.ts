import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls that have not been recorded yet. A call that was cut off may still have changed something: until it is recorded
 * the audit must stay open.
 */
export class CallsUnderWay {
  readonly #calls = new Set<Promise<unknown>>();

  /** @param call - never rejects @returns it */
  follow<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call);
    void call.then(() => this.#calls.delete(call));
    return call;
  }

  /** Waits until there are none. @param maxMs - longest wait @returns whether there are none */
  async ended(maxMs: number): Promise<boolean> {
    const stop = new AbortController();
    const timeUp = delay(maxMs, false, { signal: stop.signal }).catch(() => false);
    const none = async () => {
      while (this.#calls.size > 0 && !stop.signal.aborted) await Promise.all(this.#calls);
      return true;
    };
    const areEnded = await Promise.race([none(), timeUp]);
    stop.abort();
    return areEnded;
  }
}
