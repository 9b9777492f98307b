import { quantile } from './spread.ts';

/** 95 % confidence limits of a share. */
export type Limits = readonly [low: number, high: number];

/** Limits of the middle 95 % of resampled rates; undefined without rates. */
export function resampledLimits(rates: readonly number[]): Limits | undefined {
  return rates.length === 0 ? undefined : [quantile(rates, 0.025), quantile(rates, 0.975)];
}
