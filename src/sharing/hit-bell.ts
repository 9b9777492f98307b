import { Failure } from '../failure.ts';

/**
 * Wakes the streams of an agency when it has new hits. Rings may be lost, for example with the connection that listens
 * for them: a stream looks by itself every POLL_MS as well.
 */
export class HitBell {
  readonly #rung = new Map<string, number>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #closing = new AbortController();

  /** Aborted when the service stops, with a Failure as reason. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** There are new hits. @param agency - undefined: of any agency */
  ring(agency?: string): void {
    for (const name of agency === undefined ? [...this.#waiting.keys()] : [agency]) {
      this.#rung.set(name, this.ringsOf(name) + 1);
      for (const wake of this.#waiting.get(name) ?? []) wake();
    }
  }

  /** Rings so far: to be asked before looking for hits, so that none that come meanwhile are slept through. */
  ringsOf(agency: string): number {
    return this.#rung.get(agency) ?? 0;
  }

  /**
   * Waits for a ring after `rings`, at most `maxMs`.
   * @throws the signal's reason
   */
  async wait(agency: string, rings: number, maxMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.ringsOf(agency) !== rings) return;
    const waiting = this.#waiting.get(agency) ?? new Set();
    this.#waiting.set(agency, waiting);
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        waiting.delete(end);
        if (waiting.size === 0) {
          this.#waiting.delete(agency);
          this.#rung.delete(agency);
        }
        resolve();
      };
      const timer = setTimeout(end, maxMs);
      signal.addEventListener('abort', end, { once: true });
      waiting.add(end);
    });
    signal.throwIfAborted();
  }

  /** Ends all streams: the service stops. */
  close(): void {
    const sentence = 'The service is stopping: watch the hits of another one.';
    this.#closing.abort(new Failure('unavailable', 'STOPPING', sentence, { retryAfterMs: 1000 }));
  }
}
