/** Running mean of the cost of one unit of work on this machine. It weighs units, not tasks. */
export class MeasuredCost {
  readonly #horizon: number;
  #milliseconds: number;
  #pieces: number;

  /**
   * @param expected - initial value in ns, before any measurement; counts as a tenth of the horizon
   * @param horizon - units that the mean covers
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

/** Thread time of the parts of a search; each mean covers some seconds of work. */
export class SearchCosts {
  /** One comparison. */
  readonly finger = new MeasuredCost(8_000, 500_000);
  readonly face = new MeasuredCost(80, 50_000_000);
  /** One byte of codes scanned. */
  readonly code = new MeasuredCost(0.08, 30_000_000_000);
  /** One reference merged, or one subject ranked, by their codes. */
  readonly choose = new MeasuredCost(2, 500_000_000);
  /** One reference ranked by its whole candidate vector. */
  readonly rerank = new MeasuredCost(500, 5_000_000);
  /** One reference merged, or one subject ranked. */
  readonly merge = new MeasuredCost(4, 500_000_000);
}
