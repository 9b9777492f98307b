/**
 * Which subjects belong to a gallery, as one byte for each ordinal in memory that the workers see. A search that is
 * under way while more room is made keeps the bytes it began with: subjects that came later are not in its view.
 */
export class Membership {
  #bytes = new Uint8Array(new SharedArrayBuffer(1024));
  #size = 0;
  /** Who has left and is not hidden yet, and the last time that they did. */
  readonly #leaving = new Map<number, object>();

  /** Subjects that belong. */
  get size(): number {
    return this.#size;
  }

  /** 1 at the ordinals of those who belong, and of those who have left and are not hidden yet; ordinals past its end: 0. */
  get shared(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  /** A subject who does not belong yet. */
  add(ordinal: number): void {
    if (ordinal >= this.#bytes.length) {
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(ordinal + 1, this.#bytes.length * 2)));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[ordinal] = 1;
    this.#leaving.delete(ordinal);
    this.#size++;
  }

  /**
   * A subject who belongs leaves. Searches that are under way still see them as a member.
   * @returns to be called when these have ended: takes the byte away, unless the subject came back, or left once more
   */
  remove(ordinal: number): () => void {
    const departure = {};
    this.#leaving.set(ordinal, departure);
    this.#size--;
    return () => {
      if (this.#leaving.get(ordinal) !== departure) return;
      this.#leaving.delete(ordinal);
      this.#bytes[ordinal] = 0;
    };
  }
}
