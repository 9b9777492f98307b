/** Maximum size of the counted allocation: larger ones would fail where memory is short. */
const MAX_TOLD = 1 << 28;

/**
 * Shared memory that the main thread has released and the collector has not reclaimed yet. V8 does not count shared
 * memory, and would not start a collection for it. It does count an ordinary allocation of the same size, which takes
 * no memory because it is never written. This is repeated until all is reclaimed: a collection that was already running
 * may have missed memory released since.
 */
export class ReleasedMemory {
  readonly #found = new FinalizationRegistry<number>((bytes) => void (this.#bytes -= bytes));
  #bytes = 0;

  add(memory: WebAssembly.Memory): void {
    const bytes = memory.buffer.byteLength;
    this.#bytes += bytes;
    this.#found.register(memory, bytes);
  }

  /** To be called regularly; does nothing once everything is reclaimed. */
  promptCollection(): void {
    if (this.#bytes === 0) return;
    try {
      void new ArrayBuffer(Math.min(this.#bytes, MAX_TOLD));
    } catch {
      // Allocation failed; V8 runs a collection before it throws, which is all that was wanted.
    }
  }
}
