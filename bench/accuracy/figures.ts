import { errorRates, type OperatingPoint } from '../../index-builder/statistics/error-rates.ts';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import type { Limits } from '../harness/limits.ts';
import { rateLimits } from './confidence.ts';
import { collectScores } from './finger-scores.ts';
import type { Group } from './groups.ts';
import { searchFigures, type SearchFigures } from './searches.ts';

/** False match rates at which FNMR is given, ascending; 0: no false match among the comparisons. */
export const FALSE_MATCH_RATES: readonly number[] = [0, 1e-5, 1e-4, 1e-3, 1e-2];

/** Rates are shares, 0 to 1. */
export interface Figures {
  readonly name: string;
  readonly kind: Group['kind'];
  readonly fingers: number;
  readonly prints: number;
  readonly mated: number;
  readonly nonMated: number;
  /** Failed comparisons: a print has too few minutiae. They are counted above as not matching. */
  readonly failures: { readonly mated: number; readonly nonMated: number };
  readonly eer: number;
  readonly eerLimits: Limits | undefined;
  readonly points: readonly FigurePoint[];
  readonly searches: SearchFigures;
}

/** `point` and `limits` are undefined if there are too few non-mated comparisons for the rate. */
export interface FigurePoint {
  readonly fmr: number;
  readonly point: OperatingPoint | undefined;
  readonly limits: Limits | undefined;
}

/** @throws Error if the group has no mated or no non-mated comparisons */
export function figuresOf(group: Group): Figures {
  const scores = collectScores(group);
  const { mated, nonMated } = scores;
  if (mated.length === 0 || nonMated.length === 0) {
    throw new Error(`${group.name}: rates need two impressions of a finger, and prints of two fingers`);
  }
  const rates = errorRates(scores, FALSE_MATCH_RATES);
  const limits = rateLimits(scores, FALSE_MATCH_RATES);
  // The bootstrap gives no limits without errors. The independent trials are fingers, not comparisons.
  const zero = binomialLimits(0, new Set(scores.matedFingers).size);
  return {
    name: group.name,
    kind: group.kind,
    fingers: scores.fingers,
    prints: group.parts.reduce((sum, { set, includes }) => sum + set.list.filter(includes).length, 0),
    mated: mated.length,
    nonMated: nonMated.length,
    failures: { mated: countFailures(mated), nonMated: countFailures(nonMated) },
    eer: rates.eer,
    eerLimits: rates.eer === 0 ? zero : limits.eer,
    points: FALSE_MATCH_RATES.map((fmr, i) => {
      const point = rates.points[i];
      const measured = point?.fnmr === 0 ? zero : limits.fnmr[i];
      return { fmr, point, limits: point === undefined ? undefined : measured };
    }),
    searches: searchFigures(group),
  };
}

/** Figures of all groups, without databases that have no mated or no non-mated comparisons. */
export function measureGroups(groups: readonly Group[]): Figures[] {
  return groups.flatMap((group) => {
    if (group.kind === 'database') {
      const { mated, nonMated } = collectScores(group);
      if (mated.length === 0 || nonMated.length === 0) return [];
    }
    return [figuresOf(group)];
  });
}

function countFailures(scores: Int32Array): number {
  return scores.filter((score) => score < 0).length;
}
