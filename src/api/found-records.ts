/** Which records a search or comparison found: what their owners are told. */
import type { Grant } from '../access/grant.ts';
import type { FoundRecord } from '../audit/hit-entries.ts';
import type { SubjectEntry } from '../gallery/catalogue.ts';
import type { RecordClasses } from '../gallery/record-classes.ts';
import { thresholdFor } from '../matching/rates/fusion.ts';
import type { Identified, IdentifyQuery, Patience, Searcher } from '../matching/search/searcher.ts';
import type { IdentifyResponse } from '../contract/generated/ridgewatch/v1/identification.ts';
import { silentClassesOf } from './class-masks.ts';
import { searchedClasses } from './searched-classes.ts';

/** Silent candidates of one search. Hardly any search has more than one. */
const MAX_SILENT = 100;

/**
 * The candidates of an answer that are hits: those that the caller is shown and that reach the service's own threshold.
 * A caller that asks for weaker candidates gets them, and no owner is told of these.
 * @param targetFpir - the service's own
 */
export function shownRecords({ result }: Identified, shown: IdentifyResponse, targetFpir: number): FoundRecord[] {
  const standard = thresholdFor(targetFpir, result.subjectsSearched);
  const ranks = new Map(shown.candidates.map(({ subjectId, rank }) => [subjectId, rank]));
  return result.candidates.flatMap(({ subject, log10Fmr, band }) => {
    const rank = ranks.get(subject.subjectId);
    if (rank === undefined || log10Fmr > standard) return [];
    return [{ ...factsOf(subject), rank, log10Fmr, band, silent: false }];
  });
}

/**
 * Searches the records that are not shown to the caller. It is a search of its own: which records the answer lists, in
 * which order, and what it says of itself, are the same whether there are such records or not.
 * @param query - of the caller
 * @throws Failure, see Searcher
 */
export async function searchSilently(
  searcher: Searcher,
  classes: RecordClasses,
  grant: Grant,
  query: IdentifyQuery,
  patience: Patience,
): Promise<FoundRecord[]> {
  const mask = silentClassesOf(grant, classes);
  if ((await searchedClasses(mask, classes, patience.signal)).count === 0) return [];
  const { result } = await searcher.identify(
    {
      ...query,
      classes: mask,
      maxCandidates: MAX_SILENT,
      threshold: undefined,
      admit: undefined,
      explain: false,
      firstHit: false,
    },
    patience,
  );
  return result.candidates.map(({ subject, log10Fmr, band }) => {
    return { ...factsOf(subject), rank: undefined, log10Fmr, band, silent: true };
  });
}

/** A subject that a comparison matched. @param log10Fmr - fused */
export function matchedRecord(subject: SubjectEntry, log10Fmr: number): FoundRecord {
  return { ...factsOf(subject), rank: undefined, log10Fmr, band: 'review', silent: false };
}

function factsOf({ subjectId, attributes: { contributor, caveats, provenance } }: SubjectEntry) {
  return { subjectId, owner: contributor, caveats, provenance };
}
