import { build } from 'hdr-histogram-js';

/** Of milliseconds. */
export function percentiles(values: readonly number[]) {
  return { p50: atPercentile(values, 50), p99: atPercentile(values, 99), max: atPercentile(values, 100) };
}

/** For a curve: percentiles, and what so many per cent were faster than. */
export const CURVE = [0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const;

export function curveOf(values: readonly number[]): number[] {
  return CURVE.map((percentile) => atPercentile(values, percentile));
}

export function atPercentile(values: readonly number[], percentile: number): number {
  const histogram = build({ numberOfSignificantValueDigits: 3, highestTrackableValue: 3_600_000_000 });
  for (const value of values) if (Number.isFinite(value)) histogram.recordValue(Math.max(1, Math.round(value * 1000)));
  return Number((histogram.getValueAtPercentile(percentile) / 1000).toFixed(1));
}
