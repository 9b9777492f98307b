import { Failure } from '../failure.ts';

type Step = () => Promise<unknown>;

/**
 * Takes the parts of a service down, last one first. A failed start and the stop of a running service use the same
 * order.
 */
export class Teardown {
  #steps: Step[] = [];
  #running: Promise<void> | undefined;
  readonly #late: Promise<unknown>[] = [];

  /** @param step - takes down a part just started; called at once if the teardown is already running */
  add(step: Step): void {
    if (this.#running === undefined) this.#steps.push(step);
    else this.#late.push(step().catch(() => undefined));
  }

  /** Takes everything down. If a part fails, the others are still taken down. */
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
 * Starts something of many parts. If a part fails or the start is given up, all are taken down.
 * @param start - adds a step for each part
 * @throws Failure START_GIVEN_UP; every error of `start`
 */
export async function wholeOrNothing<T>(start: (teardown: Teardown) => Promise<T>, givenUp: AbortSignal): Promise<T> {
  const teardown = new Teardown();
  const starting = start(teardown);
  try {
    return await Promise.race([starting, rejectionOf(givenUp)]);
  } catch (thrown) {
    await teardown.run();
    // The start ends when it fails on parts already taken down. Parts that it added meanwhile are taken down, too.
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
