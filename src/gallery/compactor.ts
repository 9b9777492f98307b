import type { Gallery } from './gallery.ts';
import type { Compaction } from './compaction.ts';
import type { CurrentGallery } from './active-gallery.ts';
import { inSlices, SLICE_MS } from './slices.ts';

/** Pause after a failure: missing memory rarely returns at once. */
const PAUSE_MS = 60_000;

/** Compacts segments that have lost many of their references, one after the other, in the background. */
export class Compactor {
  readonly #served: CurrentGallery;
  readonly #onError: (error: unknown) => void;
  readonly #sliceMs: number;
  #running: Promise<void> | undefined;
  #stopped = false;
  #notBefore = 0;
  #compactions = 0;

  /**
   * @param onError - called when a compaction failed; the old segments stay in use, and it is retried after a minute
   * @param sliceMs - 0: a turn of the event loop between any two references
   */
  constructor(served: CurrentGallery, onError: (error: unknown) => void, sliceMs = SLICE_MS) {
    this.#served = served;
    this.#onError = onError;
    this.#sliceMs = sliceMs;
  }

  /** Compactions completed since the start. */
  get compactions(): number {
    return this.#compactions;
  }

  /**
   * Compacts the segments that are sparse now. Costs next to nothing when there are none.
   * @returns resolves when nothing is left to do; a second call meanwhile gets the same promise
   */
  run(): Promise<void> {
    return (this.#running ??= this.#compactAll().finally(() => (this.#running = undefined)));
  }

  /**
   * Abandons an incomplete copy, and begins no other. After a switch it waits for the searches that began before, and
   * until the old segments are wiped.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #compactAll(): Promise<void> {
    this.#served.current.releaseMemory(performance.now());
    if (performance.now() < this.#notBefore) return;
    try {
      while (!this.#stopped) {
        const gallery = this.#served.current;
        const next = gallery.beginCompaction();
        if (next === undefined) return;
        await this.#compact(next, gallery);
        gallery.releaseMemory(performance.now());
      }
    } catch (error) {
      this.#notBefore = performance.now() + PAUSE_MS;
      this.#onError(error);
    }
  }

  async #compact(compaction: Compaction, gallery: Gallery): Promise<void> {
    let complete = false;
    try {
      complete = await inSlices(compaction.copy(), this.#sliceMs, () => this.#stopped);
    } finally {
      if (!complete) await inSlices(compaction.abandon(), this.#sliceMs);
    }
    if (!complete) return;
    compaction.switch();
    this.#compactions++;
    await gallery.presentSearchesEnded();
    await inSlices(compaction.finish(), this.#sliceMs);
  }
}
