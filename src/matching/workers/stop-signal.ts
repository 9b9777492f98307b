/**
 * Stopping a search in stages. One word of shared memory holds how much of it is to stop; threads look at it between
 * batches, so that a search ends within a few milliseconds.
 */

/** What is to stop. A higher level stops what the lower ones stop, too. */
export const STOP = {
  /** Reading what there is to search: the time for it is up. */
  scan: 1,
  /** Comparing what was proposed, too. */
  compare: 2,
  /** Everything: nobody waits for the answer any more. */
  all: 3,
} as const;

export type StopLevel = (typeof STOP)[keyof typeof STOP];

/** What a piece of work looks at: it stops when the word has reached its level. */
export interface StopMark {
  readonly word: SharedArrayBuffer;
  readonly level: StopLevel;
}

/** @returns whether the work that looks at this mark is to stop */
export function isStopped({ word, level }: StopMark): boolean {
  return Atomics.load(new Int32Array(word), 0) >= level;
}

/** The word of one search. */
export class StopSignal {
  readonly #word = new SharedArrayBuffer(4);
  /** For work of the first stage. */
  readonly scan: StopMark = { word: this.#word, level: STOP.scan };
  /** For comparisons of what the first stage has proposed. */
  readonly compare: StopMark = { word: this.#word, level: STOP.compare };
  /** For what is given up only when nobody waits. */
  readonly all: StopMark = { word: this.#word, level: STOP.all };

  /** Stops the work of this level and of those below it; there is no way back. */
  raise(level: StopLevel): void {
    const word = new Int32Array(this.#word);
    for (let seen = Atomics.load(word, 0); seen < level;) {
      const found = Atomics.compareExchange(word, 0, seen, level);
      if (found === seen) return;
      seen = found;
    }
  }
}
