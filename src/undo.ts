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
