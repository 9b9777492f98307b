/** Error rates of a set of comparisons (ISO/IEC 19795-1), from its scores; higher is more alike. */
export interface ErrorRates {
  /** Equal error rate: the mean of FMR and FNMR where they are nearest to each other. */
  readonly eer: number;
  /** The false non-match rate at the lowest threshold whose false match rate is at most `fmr`. */
  fnmrAt(fmr: number): number;
}

/** @param genuine - scores of comparisons of the same finger; @param impostor - of different ones */
export function errorRates(genuine: readonly number[], impostor: readonly number[]): ErrorRates {
  const mates = Float64Array.from(genuine).sort();
  const others = Float64Array.from(impostor).sort();
  /** Values below the threshold. */
  const below = (sorted: Float64Array, threshold: number) => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle] < threshold) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const fnmr = (threshold: number) => below(mates, threshold) / mates.length;
  const fmr = (threshold: number) => 1 - below(others, threshold) / others.length;
  const fnmrAt = (rate: number) => {
    // A match is a score at or above the threshold: just above the first impostor that may not match.
    const allowed = Math.floor(rate * others.length + 1e-9);
    const limit = others[others.length - 1 - allowed] ?? -Infinity;
    const accepted = mates.length - mates.findIndex((score) => score > limit);
    return mates.some((score) => score > limit) ? 1 - accepted / mates.length : 1;
  };
  let eer = 1;
  let nearest = Infinity;
  for (const threshold of new Set([...mates, ...others])) {
    const difference = Math.abs(fnmr(threshold) - fmr(threshold));
    if (difference < nearest) {
      nearest = difference;
      eer = (fnmr(threshold) + fmr(threshold)) / 2;
    }
  }
  return { eer, fnmrAt };
}
