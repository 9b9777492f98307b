/**
 * Which subjects belong to a gallery, as one byte for each ordinal in memory that the workers see. A search that is
 * under way while more room is made keeps the bytes it began with: subjects that came later are not in its view.
 */
export class Membership {
  #bytes = new Uint8Array(new SharedArrayBuffer(1024));
  #size = 0;

  /** Subjects that belong. */
  get size(): number {
    return this.#size;
  }

  /** 1 at the ordinals of those who belong; ordinals past its end do not. */
  get shared(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  add(ordinal: number): void {
    if (ordinal >= this.#bytes.length) {
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(ordinal + 1, this.#bytes.length * 2)));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    if (this.#bytes[ordinal] === 1) return;
    this.#bytes[ordinal] = 1;
    this.#size++;
  }

  delete(ordinal: number): void {
    if (this.#bytes[ordinal] !== 1) return;
    this.#bytes[ordinal] = 0;
    this.#size--;
  }
}
