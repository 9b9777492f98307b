/** Room that is allocated to be counted: larger ones would be refused where memory is short. */
const MAX_TOLD = 1 << 28;

/**
 * Shared memory that the main thread has let go of and its collector has not found yet. The collector does not count
 * shared memory, and so would see no reason to begin. What it does count is room of the same size, which takes no memory
 * as it is never written. It is told again until it has found everything: a collection that was under way already may
 * have passed over what was let go of since.
 */
export class ReleasedMemory {
  readonly #found = new FinalizationRegistry<number>((bytes) => void (this.#bytes -= bytes));
  #bytes = 0;

  add(memory: WebAssembly.Memory): void {
    const bytes = memory.buffer.byteLength;
    this.#bytes += bytes;
    this.#found.register(memory, bytes);
  }

  /** To be called now and then; does nothing when everything was found. */
  promptCollection(): void {
    if (this.#bytes === 0) return;
    try {
      void new ArrayBuffer(Math.min(this.#bytes, MAX_TOLD));
    } catch {
      // There is no room: the collector has begun before it said so.
    }
  }
}
