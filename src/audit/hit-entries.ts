/** What the owners of found records are to be told, as audit records. */
import { v7 as newId } from 'uuid';
import { MAX_CANDIDATES as MAX_HITS, type AuditEntry } from './audit-entry.ts';
import { inParts } from './parts.ts';

/** A record that a search found, or that a comparison matched. */
export interface FoundRecord {
  readonly subjectId: string;
  /** The agency that contributed it. */
  readonly owner: string;
  readonly caveats: readonly string[];
  readonly provenance: string;
  /** Place in the candidate list that the caller is shown, from 1; undefined: there is none. */
  readonly rank: number | undefined;
  /** log10 of the fused false match rate. */
  readonly log10Fmr: number;
  /** Name of the band. */
  readonly band: string;
  /** The caller is not shown the record. */
  readonly silent: boolean;
}

/**
 * The records that make hits: one for each owner, or several where there are many. Those on silent records are apart, and
 * where a search of silent records has found none, a record without an owner says so: auditors of the searching agency
 * see the numbers of all records, and these must not tell whether there was a silent hit.
 * @param call - the record of the call. Owners learn the agency that searched, and nothing of its client
 * @param searchedSilently - silent records were searched
 */
export function hitEntries(call: AuditEntry, found: readonly FoundRecord[], searchedSilently: boolean): AuditEntry[] {
  const { begun, ended, method, purpose, checkpoint_id, request_id, outcome, agency } = call;
  const shared = {
    ...{ kind: 'hit' as const, begun, ended, outcome },
    ...(method !== undefined && { method }),
    ...(purpose !== undefined && { purpose }),
    ...(checkpoint_id !== undefined && { checkpoint_id }),
    ...(request_id !== undefined && { request_id }),
    ...(agency !== undefined && { searched_by: agency }),
  };
  const hits = [...Map.groupBy(found, ({ owner, silent }) => `${silent} ${owner}`).values()].flatMap((theirs) =>
    inParts(theirs, MAX_HITS).map((part) => ({ ...shared, agency: theirs[0]?.owner ?? '', hits: part.map(toHit) })),
  );
  return searchedSilently && !found.some(({ silent }) => silent) ? [...hits, { ...shared, hits: [] }] : hits;
}

function toHit({ subjectId, caveats, provenance, rank, log10Fmr, band, silent }: FoundRecord) {
  return {
    ...{ hit_id: newId(), subject_id: subjectId, caveats: [...caveats], provenance },
    ...(rank !== undefined && { rank }),
    ...{ log10_fmr: log10Fmr, band, silent },
  };
}
