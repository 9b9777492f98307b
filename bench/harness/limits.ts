import { quantile } from './spread.ts';

/** 95 % confidence limits of a share. */
export type Limits = readonly [low: number, high: number];

/** Between which the middle 95 % of resampled rates lie; undefined of none. */
export function resampledLimits(rates: readonly number[]): Limits | undefined {
  return rates.length === 0 ? undefined : [quantile(rates, 0.025), quantile(rates, 0.975)];
}
