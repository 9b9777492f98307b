import type { Gallery } from './gallery.ts';
import type { Rewriting } from './rewriting.ts';
import type { CurrentGallery } from './served-gallery.ts';
import { inSlices, SLICE_MS } from './slices.ts';

/** How long nothing is tried after a failure: memory that was not there is not there at once. */
const PAUSE_MS = 60_000;

/** Rewrites segments that have lost many of their references, one after the other, while everything else goes on. */
export class Rewriter {
  readonly #served: CurrentGallery;
  readonly #onError: (error: unknown) => void;
  readonly #sliceMs: number;
  #running: Promise<void> | undefined;
  #stopped = false;
  #notBefore = 0;
  #rewritings = 0;

  /**
   * @param onError - told when a rewriting failed; the old segments serve on, and after a minute it is tried again
   * @param sliceMs - 0: a turn of the event loop between any two references
   */
  constructor(served: CurrentGallery, onError: (error: unknown) => void, sliceMs = SLICE_MS) {
    this.#served = served;
    this.#onError = onError;
    this.#sliceMs = sliceMs;
  }

  /** Segments that were made in the place of others, since the start. */
  get rewritings(): number {
    return this.#rewritings;
  }

  /**
   * Rewrites what is thin now. Costs next to nothing when nothing is.
   * @returns resolves when nothing is left to do; while it is at work, a second call waits for the same
   */
  run(): Promise<void> {
    return (this.#running ??= this.#rewriteAll().finally(() => (this.#running = undefined)));
  }

  /**
   * Abandons a copy that is not complete, and begins no other. Waits for what is past that: for the searches that began
   * before, and until the old segments are wiped.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #rewriteAll(): Promise<void> {
    this.#served.current.releaseMemory(performance.now());
    if (performance.now() < this.#notBefore) return;
    try {
      while (!this.#stopped) {
        const gallery = this.#served.current;
        const next = gallery.beginRewriting();
        if (next === undefined) return;
        await this.#rewrite(next, gallery);
        gallery.releaseMemory(performance.now());
      }
    } catch (error) {
      this.#notBefore = performance.now() + PAUSE_MS;
      this.#onError(error);
    }
  }

  async #rewrite(rewriting: Rewriting, gallery: Gallery): Promise<void> {
    let complete = false;
    try {
      complete = await inSlices(rewriting.copy(), this.#sliceMs, () => this.#stopped);
    } finally {
      if (!complete) await inSlices(rewriting.abandon(), this.#sliceMs);
    }
    if (!complete) return;
    rewriting.switch();
    this.#rewritings++;
    await gallery.presentSearchesEnded();
    await inSlices(rewriting.finish(), this.#sliceMs);
  }
}
