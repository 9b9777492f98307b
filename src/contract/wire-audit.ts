/** Wire forms of the audit. */
import type { AuditFilter, StoredBatch } from '../audit/audit-log.ts';
import { digestOf } from '../audit/chain.ts';
import type { AuditFilter as WireFilter, AuditRecord } from './generated/ridgewatch/v1/audit.ts';

/** @param filter - that was checked; undefined: all */
export function fromWireFilter(filter: WireFilter | undefined): AuditFilter {
  const given = (text: string | undefined) => (text === '' ? undefined : text);
  return {
    since: filter?.startTime?.toISOString(),
    until: filter?.endTime?.toISOString(),
    agency: given(filter?.agency),
    clientId: given(filter?.clientId),
    subjectId: given(filter?.subjectId),
    kind: given(filter?.kind),
    method: given(filter?.method),
    writer: given(filter?.writer),
  };
}

/** A batch as records: of those that do not match, only the digest. */
export function toWireRecords({ previous, records, matching }: StoredBatch): AuditRecord[] {
  return records.map(({ writer, seq, hash, signature, text }, i) => ({
    writer,
    seq,
    hash,
    signature: signature ?? Buffer.alloc(0),
    previous: i === 0 ? previous : Buffer.alloc(0),
    content: matching.has(seq) ? { $case: 'text', value: text } : { $case: 'digest', value: digestOf(text) },
  }));
}
