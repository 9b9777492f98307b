/** Buffers kept for later searches; as many as searches usually run at a time. */
const MAX_SPARE = 4;

/** Shared memory for one value per reference. Kept from search to search: allocating costs more than filling it. */
export class ValueBuffers {
  readonly #spare: SharedArrayBuffer[] = [];

  /** The smallest spare buffer that is large enough, or a new one. Its content is arbitrary. */
  take(bytes: number): SharedArrayBuffer {
    const fitting = this.#spare.findIndex(({ byteLength }) => byteLength >= bytes);
    if (fitting >= 0) return this.#spare.splice(fitting, 1)[0];
    // An eighth more: a growing gallery must not outgrow every buffer at once.
    return new SharedArrayBuffer(16 * Math.ceil((bytes * 1.125) / 16));
  }

  /** Only when no thread writes to it any more. */
  giveBack(buffer: SharedArrayBuffer): void {
    this.#spare.push(buffer);
    this.#spare.sort((a, b) => a.byteLength - b.byteLength);
    // The largest is dropped: one large search must not hold its memory for ever.
    if (this.#spare.length > MAX_SPARE) this.#spare.pop();
  }
}
