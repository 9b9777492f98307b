/**
 * List lengths from the places of mates. They are distribution-free tolerance limits (Wilks, "Determination of sample
 * sizes for setting tolerance limits", Annals of Mathematical Statistics 12, 1941): the h-th smallest of n places holds
 * a share of all mates whose lower confidence limit is that of h events in n trials. Two lengths are chosen from the
 * same probes, which costs one event more (Tukey, "Non-parametric estimation II", Annals of Mathematical Statistics 18,
 * 1947). The limits are of probes like those that were made: how much these resemble real ones they cannot say.
 */
import { binomialLimits, chanceOfAtMost } from '../rates/binomial-limits.ts';
import type { ListSizes } from '../search/list-sizes.ts';
import type { ListShares } from '../workers/list-lengths.ts';

/** One-sided: the probability that a share of mates is stated that is too great. */
const TAIL = 0.05;
/** Limits of the shares. */
export const MIN_SHARE = 0.001;
export const MAX_SHARE = 0.05;
/** Shares are rounded up to a whole number of these: a few enrolments more or less seldom change them. */
const SHARE_STEP = 0.0001;
/** Fewer probes decide nothing. */
export const MIN_TRIALS = 400;
/** Most probes of a kind; the rates that they cannot show are not reached. */
export const MAX_TRIALS = 5000;

/** Where a mate was found, see PlaceResult. */
export interface MatePlace {
  readonly byValues: number;
  /** Number of compared subjects from which on the mate would be found; Infinity: never. */
  readonly byVectors: number;
  /** Number of subjects that byVectors holds for: with more of them, others may precede. */
  readonly among: number;
}

export interface ChosenLengths {
  readonly shares: ListShares;
  /** Probes whose mates an exact search ranks first. */
  readonly trials: number;
  /** Those whose mates lists of these lengths contain. */
  readonly hits: number;
  /** Lower 95 % confidence limit of the hit rate, one-sided. */
  readonly hitRateLower: number;
  /** Whether that limit reaches the target. */
  readonly isReached: boolean;
}

/**
 * Fewest probes that can show a hit rate, without a single mate missed; MIN_TRIALS to MAX_TRIALS.
 * @param target - above 0, below 1
 */
export function trialsFor(target: number): number {
  // The probability of one mate missed, or none.
  const chance = (trials: number) => target ** trials + trials * target ** (trials - 1) * (1 - target);
  let trials = MIN_TRIALS;
  while (chance(trials) > TAIL && trials < MAX_TRIALS) trials++;
  return trials;
}

/** Lower 95 % confidence limit of the hit rate of two lengths that were chosen by the same probes. */
export function hitRateLowerOf(hits: number, trials: number): number {
  return trials === 0 ? 0 : binomialLimits(Math.max(0, hits - 1), trials, TAIL)[0];
}

/** What bounds the choice of lengths. */
export interface LengthLimits {
  /** Hit rate to reach, above 0, below 1. */
  readonly target: number;
  /** Shares that apply without a measurement. They are shortened only where the target is reached. */
  readonly fixed: ListShares;
  /** Subjects in memory. */
  readonly subjects: number;
  /** List sizes that these shares mean. */
  readonly sizesOf: (shares: ListShares) => ListSizes;
}

/**
 * The shortest lists that reach the target, by the lower confidence limit of their hit rate. Where none does, the fixed
 * ones, lengthened while that pays.
 * @returns undefined: too few probes
 */
export function chooseLengths(places: readonly MatePlace[], limits: LengthLimits): ChosenLengths | undefined {
  const trials = places.length;
  if (trials < MIN_TRIALS) return undefined;
  const hits = hitsNeeded(trials, limits.target);
  const chosen = hits === undefined ? undefined : outcome(places, lengthsFor(places, hits, limits), limits);
  return chosen?.isReached === true ? chosen : outcome(places, lengthened(places, limits), limits);
}

/**
 * The fixed lists, or longer ones: each doubling must find as large a share of the mates as the target lets be missed.
 * A list that is ten times as long costs ten times as much, and the furthest mates are anywhere in the gallery. No
 * longer than needed for the mates that it finds.
 */
function lengthened(places: readonly MatePlace[], limits: LengthLimits): ListShares {
  const { target, fixed, sizesOf } = limits;
  const times = (factor: number): ListShares => ({
    ranked: Math.min(MAX_SHARE, factor * fixed.ranked),
    compared: Math.min(MAX_SHARE, factor * fixed.compared),
  });
  const hits = (shares: ListShares) => hitsOf(places, sizesOf(shares));
  const least = hits(fixed);
  const worth = (1 - target) * places.length;
  let found = least;
  for (let doublings = 1; 2 ** (doublings - 1) * fixed.compared < MAX_SHARE; doublings++) {
    const now = hits(times(2 ** doublings));
    // 1 − target is not exact: a thousandth of a mate decides nothing.
    if (now - least >= doublings * worth - 0.001) found = now;
  }
  if (found === least) return fixed;
  const shortest = lengthsFor(places, found, limits);
  return {
    ranked: Math.max(shortest.ranked, fixed.ranked),
    compared: Math.max(shortest.compared, fixed.compared),
  };
}

/** Fewest hits whose lower limit reaches the target; undefined: not even with all. */
function hitsNeeded(trials: number, target: number): number | undefined {
  let [low, high] = [1, trials + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (middle >= 2 && chanceOfAtMost(middle - 2, trials, target) >= 1 - TAIL) high = middle;
    else low = middle + 1;
  }
  return low > trials ? undefined : low;
}

/**
 * The shortest lists with this many hits, or with those of the longest lists if these have fewer. The misses that are
 * left are shared evenly by the two lengths.
 */
function lengthsFor(places: readonly MatePlace[], hits: number, { subjects, sizesOf }: LengthLimits): ListShares {
  const longest = sizesOf({ ranked: MAX_SHARE, compared: MAX_SHARE });
  const within = places.filter(({ byValues, byVectors }) => byValues <= longest.ranked && byVectors <= longest.wanted);
  const wanted = Math.min(hits, within.length);
  const spared = Math.floor((within.length - wanted) / 2);
  const byValues = within.map((place) => place.byValues).sort((a, b) => a - b);
  let ranked = shareOf(byValues[within.length - spared - 1] ?? 0, subjects);
  for (;;) {
    const sizes = sizesOf({ ranked, compared: MIN_SHARE });
    const byVectors = within
      .filter((place) => place.byValues <= sizes.ranked)
      .map((place) => neededOf(place, sizes.ranked))
      .sort((a, b) => a - b);
    const compared = shareOf(byVectors[wanted - 1] ?? 0, subjects);
    if (compared <= ranked) return { ranked, compared };
    // As many are ranked as are compared, at least. That can only make the lists longer, up to their limit.
    ranked = compared;
  }
}

/** Rounded up, within the limits. */
function shareOf(place: number, subjects: number): number {
  const share = place / Math.max(1, subjects);
  // The quotient of two whole numbers is nearest to the decimal number that is meant.
  const steps = Math.ceil(Math.min(MAX_SHARE, Math.max(MIN_SHARE, share)) / SHARE_STEP - 1e-9);
  return steps / Math.round(1 / SHARE_STEP);
}

/**
 * Compared subjects from which on a mate is found if `ranked` are ranked. Those that it was not ranked among are less
 * similar by the values: at most as many of them precede as of the others, for their number.
 */
function neededOf({ byVectors, among }: MatePlace, ranked: number): number {
  return Math.ceil(byVectors * Math.max(1, ranked / Math.max(1, among)));
}

/** Mates that lists of these sizes contain. */
export function hitsOf(places: readonly MatePlace[], { ranked, wanted }: ListSizes): number {
  return places.filter((place) => place.byValues <= ranked && neededOf(place, ranked) <= wanted).length;
}

function outcome(places: readonly MatePlace[], shares: ListShares, { target, sizesOf }: LengthLimits): ChosenLengths {
  const [hits, trials] = [hitsOf(places, sizesOf(shares)), places.length];
  const hitRateLower = hitRateLowerOf(hits, trials);
  return { shares, trials, hits, hitRateLower, isReached: hitRateLower >= target };
}
