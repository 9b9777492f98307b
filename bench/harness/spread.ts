/** What repeated measurements say: the middle one, and between which the middle half of them lies. */
export interface Spread {
  readonly median: number;
  /** Quartiles. */
  readonly low: number;
  readonly high: number;
  /** How many measurements. */
  readonly count: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return {
    median: medianOf(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    count: values.length,
  };
}

export function medianOf(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** A value that was measured: the nearest rank. @returns NaN of nothing */
export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.round(q * (sorted.length - 1))] ?? NaN;
}
