/**
 * Saved graphs are read one after the other. The file of one is in memory until it has been read, and room for it is
 * checked when it is opened: files that were opened at the same time would each count the same room as free.
 */
export class LoadTurns {
  #last: Promise<unknown> = Promise.resolve();

  /** @throws every error of `load` */
  take<T>(load: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(load);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
