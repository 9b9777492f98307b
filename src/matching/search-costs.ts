/** How much of an earlier mean a new observation leaves, for work as long as a usual task. */
const KEPT = 0.95;

/** A running mean of what one piece of work costs on this machine. */
export class MeasuredCost {
  #nanoseconds: number;

  /** @param expected - nanoseconds to begin with, before anything was measured */
  constructor(expected: number) {
    this.#nanoseconds = expected;
  }

  note(milliseconds: number, pieces: number): void {
    if (pieces === 0) return;
    this.#nanoseconds = KEPT * this.#nanoseconds + (1 - KEPT) * ((milliseconds * 1e6) / pieces);
  }

  milliseconds(pieces: number): number {
    return (this.#nanoseconds * pieces) / 1e6;
  }
}

/** What the parts of a search cost one thread. */
export class SearchCosts {
  /** One comparison. */
  readonly finger = new MeasuredCost(10_000);
  readonly face = new MeasuredCost(80);
  /** Reading one candidate vector. */
  readonly vector = new MeasuredCost(30);
  /** Adding up the similarity of one reference. */
  readonly merge = new MeasuredCost(5);
}

/** What a comparison costs. */
export function costOf({ finger, face }: SearchCosts, modality: 'finger' | 'face'): MeasuredCost {
  return modality === 'finger' ? finger : face;
}
