/**
 * Spreads the work of many calls or connections that begin at once. What arrives in one turn of the event loop begins in
 * it, and a thousand streams would keep every other caller waiting for the beginnings of all of them.
 */

/** Work of one turn, in milliseconds: a fraction of what a caller notices, and of the time of any search. */
const TURN_MS = 5;

/** Begins calls, or connections, in the order of their arrival. */
export class TurnPace {
  readonly #turnMs: number;
  /** At most as many as there are open calls, or connections, which the server bounds. */
  #waiting: (() => void)[] = [];
  /** When the first of the current turn began; undefined: none has. */
  #turnBegan: number | undefined;

  constructor(turnMs = TURN_MS) {
    this.#turnMs = turnMs;
  }

  /**
   * Begins one: at once if this turn has time left, as it has in all but a flood.
   * @param begin - must not throw
   */
  enter(begin: () => void): void {
    if (this.#turnBegan === undefined) {
      this.#turnBegan = performance.now();
      setImmediate(this.#nextTurn);
    } else if (this.#waiting.length > 0 || this.#isSpent(this.#turnBegan)) {
      this.#waiting.push(begin);
      return;
    }
    begin();
  }

  readonly #nextTurn = (): void => {
    this.#turnBegan = undefined;
    if (this.#waiting.length === 0) return;
    const began = performance.now();
    this.#turnBegan = began;
    setImmediate(this.#nextTurn);
    let done = 0;
    for (const begin of this.#waiting) {
      begin();
      done++;
      if (this.#isSpent(began)) break;
    }
    this.#waiting = this.#waiting.slice(done);
  };

  #isSpent(began: number): boolean {
    return performance.now() - began >= this.#turnMs;
  }
}
