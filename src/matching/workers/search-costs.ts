/** A running mean of what one piece of work costs on this machine: of the last pieces, however many a task has. */
export class MeasuredCost {
  readonly #horizon: number;
  #milliseconds: number;
  #pieces: number;

  /**
   * @param expected - nanoseconds to begin with, before anything was measured; counts as a tenth of the horizon
   * @param horizon - pieces that the mean is taken over
   */
  constructor(expected: number, horizon: number) {
    this.#horizon = horizon;
    this.#pieces = horizon / 10;
    this.#milliseconds = (expected * this.#pieces) / 1e6;
  }

  note(milliseconds: number, pieces: number): void {
    this.#milliseconds += milliseconds;
    this.#pieces += pieces;
    if (this.#pieces <= this.#horizon) return;
    this.#milliseconds *= this.#horizon / this.#pieces;
    this.#pieces = this.#horizon;
  }

  milliseconds(pieces: number): number {
    return (this.#milliseconds / this.#pieces) * pieces;
  }
}

/** What the parts of a search cost one thread; each over some seconds of work. */
export class SearchCosts {
  /** One comparison. */
  readonly finger = new MeasuredCost(8_000, 500_000);
  readonly face = new MeasuredCost(80, 50_000_000);
  /** Reading one candidate vector. */
  readonly vector = new MeasuredCost(30, 100_000_000);
  /** Adding up one reference, or going over one subject. */
  readonly merge = new MeasuredCost(4, 500_000_000);
}
