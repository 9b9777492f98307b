import PQueue from 'p-queue';

/**
 * The tasks of one search. Only a few of them wait for a thread at a time: a search that comes later need not wait for
 * all of this one's, and one that is stopped leaves nothing behind in the queue.
 */
export class SearchTasks {
  readonly #window: PQueue;

  /** @param inHand - tasks that are given to the threads at the same time, at least 1 */
  constructor(inHand: number) {
    this.#window = new PQueue({ concurrency: inHand });
  }

  /**
   * Runs all, in their order, and resolves when none is under way any more: the memory that they read must not be taken
   * away before.
   * @throws what the first of them failed with; those after it are not begun
   */
  async all<T>(works: readonly (() => Promise<T>)[]): Promise<T[]> {
    let failure: { readonly cause: unknown } | undefined;
    const results: T[] = [];
    await this.#window.addAll(
      works.map((work, i) => async () => {
        if (failure !== undefined) return;
        try {
          results[i] = await work();
        } catch (cause) {
          failure ??= { cause };
        }
      }),
    );
    if (failure !== undefined) throw failure.cause;
    return results;
  }
}
