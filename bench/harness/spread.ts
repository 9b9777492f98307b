/** Median and quartiles of repeated measurements. */
export interface Spread {
  readonly median: number;
  /** Quartiles. */
  readonly low: number;
  readonly high: number;
  /** Number of measurements. */
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

/** A measured value by nearest rank. @returns NaN without values */
export function quantile(values: readonly number[], q: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.round(q * (sorted.length - 1))] ?? NaN;
}
