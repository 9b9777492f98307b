/**
 * What of a search for duplicates a caller may have. A contributor chooses what it enrols, so an enrolled reference is as
 * free a probe as a sample: pairs tell no more than a search with it would. They tell less in one respect: a caller that
 * enrols also chooses how many subjects a gallery has, and could move limits that depend on their number in small steps.
 * So limits are whole powers of ten.
 */
import { mayBeStrong } from '../gallery/record-life.ts';
import type { DuplicatePair } from '../contract/generated/ridgewatch/v1/gallery.ts';
import { Band } from '../contract/generated/ridgewatch/v1/sample.ts';
import { BANDS } from '../contract/wire-bands.ts';
import { STRONG_LOG10, thresholdOf, type Candidate } from '../matching/search/candidate-list.ts';
import type { SearchRequest } from '../matching/search/identification.ts';
import type { Duplicates } from '../matching/search/searcher.ts';
import { fpirOf, thresholdFor } from '../matching/rates/fusion.ts';
import { powerAbove, roundedUp, WEAKEST_CANDIDATE_LOG10 } from './disclosed-answers.ts';

/** How pairs are cut. */
export interface PairDisclosure {
  /** Whether the caller may have exact rates of comparisons with both subjects. */
  isExact(subjectId: string, otherSubjectId: string): boolean;
  /** See pairLimit. */
  readonly limitLog10: number;
  /** Subjects in scope. */
  readonly subjects: number;
  /** Similar subjects of each that the caller asked for. */
  readonly maxDuplicates: number;
}

/**
 * log10 of the weakest rate of a pair that is shown with rates in powers: that of a search, rounded down to a whole power.
 * @param asked - the caller's threshold
 * @param standardFpir - the service's own FPIR, 0 to 1
 * @param subjects - in scope
 */
export function pairLimit(asked: SearchRequest['threshold'], standardFpir: number, subjects: number): number {
  const own = 'maxLog10Fmr' in asked ? asked.maxLog10Fmr : thresholdFor(asked.targetFpir, subjects);
  return Math.floor(Math.min(own, WEAKEST_CANDIDATE_LOG10, thresholdFor(standardFpir, subjects)));
}

/**
 * Pairs of one subject. With rates in powers they are ordered by rounded rate and then by id: neither order nor presence
 * depends on more than the rounded rate. The search must have been made for more pairs than are wanted.
 * @returns the pairs, and whether there were more
 */
export function disclosePairs(
  subjectId: string,
  { duplicates, truncated, isNeverStrong }: Pick<Duplicates, 'duplicates' | 'truncated' | 'isNeverStrong'>,
  rules: PairDisclosure,
): { readonly pairs: readonly DuplicatePair[]; readonly truncated: boolean } {
  let isAnyCoarse = false;
  const seen = duplicates.flatMap((candidate): DuplicatePair[] => {
    const otherSubjectId = candidate.subject.subjectId;
    const { log10Fmr, fpir, band } = candidate;
    if (rules.isExact(subjectId, otherSubjectId))
      return [{ subjectId, otherSubjectId, log10Fmr, fpir, band: BANDS[band] }];
    isAnyCoarse = true;
    const limitLog10 = thresholdOf(candidate.isMinor, rules.limitLog10);
    if (log10Fmr > limitLog10) return [];
    const mayBe = !isNeverStrong && mayBeStrong(candidate.subject.attributes);
    return [{ subjectId, otherSubjectId, ...coarse(candidate, limitLog10, rules.subjects, mayBe) }];
  });
  if (isAnyCoarse) seen.sort((a, b) => a.log10Fmr - b.log10Fmr || (a.otherSubjectId < b.otherSubjectId ? -1 : 1));
  const pairs = seen.slice(0, rules.maxDuplicates);
  return { pairs, truncated: truncated || seen.length > pairs.length };
}

function coarse({ log10Fmr, scores }: Candidate, limitLog10: number, subjects: number, mayBe: boolean) {
  const ends = new Map(scores.map(({ instance, probe }) => [instance, probe.calibration.measuredLog10]));
  // The pair is shown, so its rate is known to reach the limit even where data end before.
  const rounded = Math.min(limitLog10, roundedUp(log10Fmr, [...ends.values()]));
  const isStrong = mayBe && rounded <= limitLog10 + STRONG_LOG10;
  const band = isStrong ? Band.STRONG_CANDIDATE : Band.REVIEW;
  return { log10Fmr: rounded, fpir: powerAbove(fpirOf(rounded, subjects)), band };
}
