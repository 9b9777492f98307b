/**
 * Rows of the change sequence that are no change of this program: added or altered in the database. Searches do not
 * follow them.
 */
export class DamagedChanges {
  readonly #onDamage: (reason: string) => void;
  #count = 0;
  #last = 0;

  /** @param onDamage - called for each row */
  constructor(onDamage: (reason: string) => void = () => undefined) {
    this.#onDamage = onDamage;
  }

  /** Rows that were met since the start. */
  get count(): number {
    return this.#count;
  }

  /** Notes a row. One that is met again, by another gallery, counts once: numbers are met in order. */
  note(seq: number, reason: string): void {
    if (seq <= this.#last) return;
    this.#last = seq;
    this.#count++;
    this.#onDamage(reason);
  }
}
