/**
 * Confidence limits of a share (Clopper, Pearson, "The use of confidence or fiducial limits illustrated in the case of
 * the binomial", Biometrika 26, 1934): the shares at which this many events or more, or this many or fewer, have a
 * probability of `tail`.
 * @param tail - 0.025: limits of 95 %, two-sided; 0.05: each of the two is a limit of 95 %, one-sided
 */
export function binomialLimits(events: number, trials: number, tail = 0.025): readonly [low: number, high: number] {
  const low = events === 0 ? 0 : bisect((share) => 1 - chanceOfAtMost(events - 1, trials, share) < tail);
  const high = events === trials ? 1 : bisect((share) => chanceOfAtMost(events, trials, share) > tail);
  return [low, high];
}

/** The share at which a condition that holds for small shares stops holding. */
function bisect(holds: (share: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** The probability of at most `events` events in `trials` trials. */
export function chanceOfAtMost(events: number, trials: number, share: number): number {
  let [log, sum] = [trials * Math.log1p(-share), 0];
  for (let k = 0; k <= events; k++) {
    sum += Math.exp(log);
    log += Math.log((trials - k) / (k + 1)) + Math.log(share) - Math.log1p(-share);
  }
  return sum;
}
