/** Which records a search or comparison found: what their owners are told. */
import type { Grant } from '../access/grant.ts';
import type { FoundRecord } from '../audit/hit-entries.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { Gallery } from '../gallery/gallery.ts';
import { MINOR, withCaveat } from '../gallery/record-life.ts';
import type { ClassRules } from '../gallery/scope.ts';
import { thresholdFor } from '../matching/rates/fusion.ts';
import { thresholdOf } from '../matching/search/candidate-list.ts';
import type { Identified } from '../matching/search/searcher.ts';
import type { IdentifyResponse } from '../contract/generated/ridgewatch/v1/identification.ts';
import { silentRulesOf } from './class-masks.ts';
import { WEAKEST_CANDIDATE_LOG10 } from './disclosed-answers.ts';
import { searchedClasses } from './searched-classes.ts';

/**
 * The candidates of an answer that are hits: those that the caller is shown and that reach the service's own threshold.
 * A caller that asks for weaker candidates gets them, and no owner is told of these.
 * @param targetFpir - the service's own
 */
export function shownRecords({ result }: Identified, shown: IdentifyResponse, targetFpir: number): FoundRecord[] {
  const standard = thresholdFor(targetFpir, result.subjectsSearched);
  const ranks = new Map(shown.candidates.map(({ subjectId, rank }) => [subjectId, rank]));
  return result.candidates.flatMap(({ subject, log10Fmr, band, isMinor }) => {
    const rank = ranks.get(subject.subjectId);
    if (rank === undefined || log10Fmr > thresholdOf(isMinor, standard)) return [];
    return [{ ...factsOf(subject, isMinor), rank, log10Fmr, band, silent: false }];
  });
}

/**
 * The record classes that a call searches without showing them. Which records its answer lists, in which order, and what
 * it says of itself, are the same whether there are such records or not.
 * @returns undefined: there are none
 * @throws the signal's reason
 */
export async function unshownClasses(
  grant: Grant,
  gallery: Gallery,
  signal: AbortSignal,
): Promise<ClassRules | undefined> {
  const rules = silentRulesOf(grant, gallery);
  return (await searchedClasses(rules.classes, gallery.classes, signal)).count === 0 ? undefined : rules;
}

/**
 * The hits on records that are not shown to the caller: those at the threshold that the answer would have with them, and
 * no weaker ones than a caller with rounded rates is ever shown. Where few records are silent, the threshold of these
 * alone would tell their owners of every hundredth stranger.
 * @param targetFpir - the service's own
 */
export function silentRecords({ result, unshown }: Identified, targetFpir: number): FoundRecord[] {
  if (unshown === undefined) return [];
  const standard = thresholdFor(targetFpir, result.subjectsSearched + unshown.subjectsSearched);
  const weakest = Math.min(standard, WEAKEST_CANDIDATE_LOG10);
  const found = unshown.candidates.filter(({ log10Fmr, isMinor }) => log10Fmr <= thresholdOf(isMinor, weakest));
  return found.map(({ subject, log10Fmr, band, isMinor }) => {
    return { ...factsOf(subject, isMinor), rank: undefined, log10Fmr, band, silent: true };
  });
}

/** A subject that a comparison matched. @param log10Fmr - fused @param isMinor - when it was compared */
export function matchedRecord(subject: SubjectEntry, log10Fmr: number, isMinor: boolean): FoundRecord {
  return { ...factsOf(subject, isMinor), rank: undefined, log10Fmr, band: 'review', silent: false };
}

/** Who is told of a minor is decided by what it was when it was found, also once it has come of age. */
function factsOf({ subjectId, attributes: { contributor, caveats, provenance } }: SubjectEntry, isMinor: boolean) {
  return { subjectId, owner: contributor, caveats: isMinor ? withCaveat(caveats, MINOR) : caveats, provenance };
}
