/** Statistics of the audit of indexed searches. */
import type { CandidateWay } from './candidate-source.ts';
import type { Probe } from './probe.ts';

/** z of a one-sided 95 % confidence limit. */
const Z = 1.645;

/** Modalities of the probes that could be compared. The index misses mates of each at rates of their own. */
export const SEARCHED_MODALITIES = ['finger', 'face', 'finger+face'] as const;
export type SearchedModalities = (typeof SEARCHED_MODALITIES)[number];

export const CANDIDATE_WAYS: readonly CandidateWay[] = ['codes', 'graph'];

/** @returns the modalities of a search; fingers where no probe can be compared */
export function modalitiesOf(probes: readonly Probe[]): SearchedModalities {
  const found = new Set(probes.flatMap(({ packed }) => packed?.modality ?? []));
  if (!found.has('face')) return 'finger';
  return found.has('finger') ? 'finger+face' : 'face';
}

/** Counts of repeated searches. */
export interface AuditCounts {
  /** Searches repeated. */
  readonly searches: number;
  /** Repeated searches whose exact search had a candidate at the service's own threshold. */
  readonly candidates: number;
  /** Their first candidates that the indexed search missed. */
  readonly missed: number;
}

/** What the audit has found since the service started. */
export interface AuditFigures extends AuditCounts {
  /** missed / candidates; 0 without candidates. */
  readonly missRate: number;
  /** Upper 95 % confidence limit of missRate, one-sided (Wilson, JASA 22, 1927); 1 without candidates. */
  readonly missRateUpper: number;
  /** Whether significantly more was missed than intended: the lower limit exceeds 1 − target hit rate. */
  readonly missesTarget: boolean;
}

/** @param targetHitRate - share of the first candidates of exact searches that an index should find, 0 to 1 */
export function figuresOf(counts: AuditCounts, targetHitRate: number): AuditFigures {
  const { searches, candidates, missed } = counts;
  const [lower, upper] = wilsonLimits(missed, candidates);
  const missRate = candidates === 0 ? 0 : missed / candidates;
  return { searches, candidates, missed, missRate, missRateUpper: upper, missesTarget: lower > 1 - targetHitRate };
}

/** One-sided limits of a rate. */
function wilsonLimits(events: number, trials: number): [lower: number, upper: number] {
  if (trials === 0) return [0, 1];
  const rate = events / trials;
  const square = Z ** 2 / trials;
  const spread = Z * Math.sqrt((rate * (1 - rate)) / trials + square / (4 * trials));
  const limit = (side: number) => Math.min(1, Math.max(0, (rate + square / 2 + side * spread) / (1 + square)));
  // Rounding must not move the limits that are exact: 0 without an event, 1 with nothing but events.
  return [events === 0 ? 0 : limit(-1), events === trials ? 1 : limit(1)];
}
