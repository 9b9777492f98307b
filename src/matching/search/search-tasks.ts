import PQueue from 'p-queue';

/**
 * The tasks of one search. Only a few of them are queued for a thread at a time: a later search need not wait for all
 * of them, and a stopped search leaves none in the queue.
 */
export class SearchTasks {
  readonly #window: PQueue;

  /** @param inHand - tasks handed to the threads at the same time, at least 1 */
  constructor(inHand: number) {
    this.#window = new PQueue({ concurrency: inHand });
  }

  /**
   * Starts all jobs in order, and settles when none is running: the memory that they read must not be released earlier.
   * @throws the first task's error; later tasks are not started
   */
  async all<T>(jobs: readonly (() => Promise<T>)[]): Promise<T[]> {
    let failure: { readonly cause: unknown } | undefined;
    const results: T[] = [];
    await this.#window.addAll(
      jobs.map((task, i) => async () => {
        if (failure !== undefined) return;
        try {
          results[i] = await task();
        } catch (cause) {
          failure ??= { cause };
        }
      }),
    );
    if (failure !== undefined) throw failure.cause;
    return results;
  }
}
