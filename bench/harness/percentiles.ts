import { build } from 'hdr-histogram-js';

/** Far above any wait of a bench: an hour, in microseconds. */
const HIGHEST = 3_600_000_000;

/** Percentiles in milliseconds, to a tenth. Values that are not finite are left out. */
export function percentiles(values: readonly number[]): Record<'p50' | 'p99' | 'max', number> {
  const [p50, p99, max] = valuesAt(values, [50, 99, 100]);
  return { p50, p99, max };
}

/** Percentiles of a curve. */
export const CURVE = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const;

/** Values in milliseconds at each percentile of CURVE. */
export function curveOf(values: readonly number[]): number[] {
  return valuesAt(values, CURVE);
}

function valuesAt(values: readonly number[], at: readonly number[]): number[] {
  const histogram = build({ numberOfSignificantValueDigits: 3, highestTrackableValue: HIGHEST });
  for (const value of values) if (Number.isFinite(value)) histogram.recordValue(Math.max(1, Math.round(value * 1000)));
  return at.map((percentile) => Number((histogram.getValueAtPercentile(percentile) / 1000).toFixed(1)));
}
