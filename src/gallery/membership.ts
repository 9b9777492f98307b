import { SortedTimes } from './sorted-times.ts';

/** What the bytes say; 0: neither. */
const BELONGS = 1;
const LEAVING = 2;
/** A gallery of so many is kept as a list, too, so that what a search of it costs follows from it alone. */
export const MAX_LISTED = 2048;

/**
 * Which subjects belong to a gallery, as one byte for each ordinal in memory that the workers see. A search that is
 * under way while more room is made keeps the bytes it began with: subjects that came later are not in its view.
 */
export class Membership {
  #bytes = new Uint8Array(new SharedArrayBuffer(1024));
  #size = 0;
  /** Those who belong; undefined: they are too many. */
  #listed: Set<number> | undefined = new Set();
  readonly #expiries = new SortedTimes();
  /** Who has left and is not hidden yet, and the last time that they did. */
  readonly #leaving = new Map<number, object>();

  /** Above 0 at the ordinals of those who belong, and of those who have left and are not hidden yet; past its end: 0. */
  get shared(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  /** Ordinals of those who belong, whether expired or not; undefined: they are too many to be listed. */
  get listed(): ReadonlySet<number> | undefined {
    return this.#listed;
  }

  /** Subjects who belong and have not expired. */
  sizeAt(instantMs: number): number {
    return this.#size - this.#expiries.countUntil(instantMs);
  }

  /** Whether a subject belongs, rather than is about to be hidden. */
  has(ordinal: number): boolean {
    return this.#bytes[ordinal] === BELONGS;
  }

  /** A subject who does not belong yet. */
  add(ordinal: number, expireTimeMs: number | undefined): void {
    if (ordinal >= this.#bytes.length) {
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(ordinal + 1, this.#bytes.length * 2)));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[ordinal] = BELONGS;
    this.#leaving.delete(ordinal);
    this.#size++;
    if (expireTimeMs !== undefined) this.#expiries.add(expireTimeMs);
    this.#listed?.add(ordinal);
    if (this.#size > MAX_LISTED) this.#listed = undefined;
  }

  /** A subject who belongs expires at another time. */
  reschedule(from: number | undefined, to: number | undefined): void {
    if (from !== undefined) this.#expiries.delete(from);
    if (to !== undefined) this.#expiries.add(to);
  }

  /**
   * A subject who belongs leaves. Searches that are under way still see them as a member.
   * @param expireTimeMs - as it was added
   * @returns to be called when these have ended: takes the byte away, unless the subject came back, or left once more
   */
  remove(ordinal: number, expireTimeMs: number | undefined): () => void {
    const departure = {};
    this.#leaving.set(ordinal, departure);
    this.#bytes[ordinal] = LEAVING;
    this.#size--;
    if (expireTimeMs !== undefined) this.#expiries.delete(expireTimeMs);
    this.#listed?.delete(ordinal);
    // Not as soon as it could be: who comes and goes at the limit would make it be listed anew each time.
    if (this.#size <= MAX_LISTED / 2) this.#listed ??= this.#list();
    return () => {
      if (this.#leaving.get(ordinal) !== departure) return;
      this.#leaving.delete(ordinal);
      this.#bytes[ordinal] = 0;
    };
  }

  #list(): Set<number> {
    const listed = new Set<number>();
    this.#bytes.forEach((byte, ordinal) => {
      if (byte === BELONGS) listed.add(ordinal);
    });
    return listed;
  }
}
