import { parseRecord, type AuditRecord } from '../audit/audit-entry.ts';
import type { HitRow } from './hit-source.ts';

/** A hit with what its audit record says. */
export interface Hit extends Omit<HitRow, 'record'> {
  /** Undefined: the audit record is gone, or is not that of this hit. */
  readonly details: HitDetails | undefined;
}

export interface HitDetails {
  readonly time: Date;
  readonly searchingAgency: string;
  readonly checkpointId: string;
  /** e.g. `border-check`. */
  readonly purpose: string;
  readonly method: string;
  readonly requestId: string;
  /** e.g. `strong-candidate`. */
  readonly band: string;
  readonly rank: number | undefined;
  readonly log10Fmr: number;
  readonly silent: boolean;
  /** Of the record at that time. */
  readonly caveats: readonly string[];
  readonly provenance: string;
}

/**
 * The hits of rows, in their order. A record with many hits is parsed once.
 * @param agency - whose hits they are
 */
export function hitsOf(rows: readonly HitRow[], agency: string): Hit[] {
  const parsed = new Map<string, AuditRecord | undefined>();
  return rows.map(({ position, hitId, subjectId, record: text }) => {
    if (text !== undefined && !parsed.has(text)) parsed.set(text, parseRecord(text));
    const record = text === undefined ? undefined : parsed.get(text);
    return { position, hitId, subjectId, details: detailsOf(record, hitId, subjectId, agency) };
  });
}

function detailsOf(
  record: AuditRecord | undefined,
  hitId: string,
  subjectId: string,
  agency: string,
): HitDetails | undefined {
  const hit = record?.hits?.find((one) => one.hit_id === hitId);
  if (record?.kind !== 'hit' || record.agency !== agency || hit?.subject_id !== subjectId) return undefined;
  return {
    time: new Date(record.ended),
    searchingAgency: record.searched_by ?? '',
    checkpointId: record.checkpoint_id ?? '',
    purpose: record.purpose ?? '',
    method: record.method ?? '',
    requestId: record.request_id ?? '',
    band: hit.band,
    rank: hit.rank,
    log10Fmr: hit.log10_fmr,
    silent: hit.silent,
    caveats: hit.caveats,
    provenance: hit.provenance,
  };
}
