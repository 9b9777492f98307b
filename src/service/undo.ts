import { Failure } from '../failure.ts';

/** Steps that take back what was begun, last first. What is begun after that is taken back at once. */
export class Undo {
  #steps: (() => Promise<unknown>)[] = [];
  #running: Promise<void> | undefined;
  readonly #late: Promise<unknown>[] = [];

  push(step: () => Promise<unknown>): void {
    if (this.#running === undefined) this.#steps.push(step);
    else this.#late.push(step().catch(() => undefined));
  }

  /** Takes everything back. What fails is passed over: the rest has to be taken back all the same. */
  async run(): Promise<void> {
    this.#running ??= this.#takeBack();
    await this.#running;
    await Promise.all(this.#late);
  }

  async #takeBack(): Promise<void> {
    const steps = this.#steps.reverse();
    this.#steps = [];
    for (const step of steps) await step().catch(() => undefined);
  }
}

/** What can be stopped. */
interface Stoppable {
  stop(): Promise<void>;
}

/**
 * Starts something of many parts. When a part fails, or it is not wanted any more, the others are stopped again.
 * @param start - pushes a step to undo each part
 * @throws Failure START_GIVEN_UP; whatever `start` throws
 */
export async function wholeOrNothing<T extends Stoppable>(
  start: (undo: Undo) => Promise<T>,
  givenUp: AbortSignal,
): Promise<T> {
  const undo = new Undo();
  const starting = start(undo);
  try {
    return await Promise.race([starting, rejectionOf(givenUp)]);
  } catch (thrown) {
    await undo.run();
    // It meets what was taken from under it, and ends; what it had begun meanwhile is stopped, too.
    await starting.then(
      (started) => started.stop(),
      () => undefined,
    );
    await undo.run();
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
