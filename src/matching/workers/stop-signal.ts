/**
 * Stops a search in stages. A word of shared memory holds the stages to stop. Threads check it between batches, and a
 * search ends within a few milliseconds.
 */

/** Stages to stop. A higher level also stops the lower ones. */
export const STOP = {
  /** The scan: its time is up. */
  scan: 1,
  /** The comparison of the proposed subjects, too. */
  compare: 2,
  /** Everything: the answer is no longer wanted. */
  all: 3,
} as const;

export type StopLevel = (typeof STOP)[keyof typeof STOP];

/** Checked by running work: it stops when the word has reached its level. */
export interface StopMark {
  readonly word: SharedArrayBuffer;
  readonly level: StopLevel;
}

/** @returns whether work with this mark must stop */
export function isStopped({ word, level }: StopMark): boolean {
  return Atomics.load(new Int32Array(word), 0) >= level;
}

/** Ends work that was stopped in the middle. */
export class Stopped extends Error {}

/** @throws Stopped when work with this mark must stop */
export function requireGoing(mark: StopMark): void {
  if (isStopped(mark)) throw new Stopped();
}

/** The stop word of one search. */
export class StopSignal {
  readonly #word = new SharedArrayBuffer(4);
  /** For work of the first stage. */
  readonly scan: StopMark = { word: this.#word, level: STOP.scan };
  /** For comparisons of the proposed subjects. */
  readonly compare: StopMark = { word: this.#word, level: STOP.compare };
  /** For work that stops only when the answer is no longer wanted. */
  readonly all: StopMark = { word: this.#word, level: STOP.all };
  readonly #listeners = new Map<StopLevel, AbortController>();

  /** For waits on the main thread: aborted as soon as work of this level must stop. */
  abortedAt(level: StopLevel): AbortSignal {
    let listener = this.#listeners.get(level);
    if (listener === undefined) this.#listeners.set(level, (listener = new AbortController()));
    if (isStopped({ word: this.#word, level })) listener.abort();
    return listener.signal;
  }

  /** Stops the work of this level and of those below it, for good. */
  raise(level: StopLevel): void {
    const word = new Int32Array(this.#word);
    for (let seen = Atomics.load(word, 0); seen < level;) {
      const found = Atomics.compareExchange(word, 0, seen, level);
      if (found === seen) break;
      seen = found;
    }
    for (const [below, listener] of this.#listeners) if (below <= level) listener.abort();
  }
}
