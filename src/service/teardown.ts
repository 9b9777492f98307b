import { Failure } from '../failure.ts';

type Step = () => Promise<unknown>;

/**
 * Takes the parts of a service down, the last one first: in this one order, whether a start failed or a service that
 * runs is stopped.
 */
export class Teardown {
  #steps: Step[] = [];
  #running: Promise<void> | undefined;
  readonly #late: Promise<unknown>[] = [];

  /** @param step - takes down a part that was just begun; at once, where everything else is being taken down already */
  add(step: Step): void {
    if (this.#running === undefined) this.#steps.push(step);
    else this.#late.push(step().catch(() => undefined));
  }

  /** Takes everything down. A part that fails is passed over: the others have to go all the same. */
  async run(): Promise<void> {
    this.#running ??= this.#takeDown();
    await this.#running;
    await Promise.all(this.#late);
  }

  async #takeDown(): Promise<void> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    for (const step of steps) await step().catch(() => undefined);
  }
}

/**
 * Starts something of many parts. Where a part fails, or the whole is not wanted any more, all are taken down again.
 * @param start - adds a step for each part
 * @throws Failure START_GIVEN_UP; whatever `start` throws
 */
export async function wholeOrNothing<T>(start: (teardown: Teardown) => Promise<T>, givenUp: AbortSignal): Promise<T> {
  const teardown = new Teardown();
  const starting = start(teardown);
  try {
    return await Promise.race([starting, rejectionOf(givenUp)]);
  } catch (thrown) {
    await teardown.run();
    // It meets what was taken from under it, and ends; what it had begun meanwhile is taken down, too.
    await starting.catch(() => undefined);
    await teardown.run();
    throw thrown;
  }
}

function rejectionOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(new Failure('cancelled', 'START_GIVEN_UP', 'It was told to stop while it started.'));
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}
