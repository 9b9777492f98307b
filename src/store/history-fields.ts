/** What of a subject's data its history keeps. */
import type { HistoryContent } from './history-rows.ts';
import type { SubjectRecord } from './records.ts';

/** Every field that a change can change, with its values as texts. Its name is that of the contract. */
const FIELDS: Readonly<Record<string, (subject: SubjectRecord) => readonly string[]>> = {
  external_id: ({ externalId }) => (externalId === undefined ? [] : [externalId]),
  galleries: ({ galleries }) => [...galleries].sort(),
  caveats: ({ caveats }) => caveats,
  provenance: ({ provenance }) => [provenance],
  expire_time: ({ expireTime }) => timeOf(expireTime),
  review_time: ({ reviewTime }) => timeOf(reviewTime),
  suspended: ({ suspended }) => [String(suspended)],
  minor_until: ({ minorUntil }) => timeOf(minorUntil),
  handling: ({ handling }) => (handling === undefined ? [] : [handling.code, handling.instructions, handling.contact]),
};

function timeOf(time: Date | undefined): readonly string[] {
  return time === undefined ? [] : [time.toISOString()];
}

/** The fields that differ between two states of a subject, in order of their names. */
export function changedFields(before: SubjectRecord, after: SubjectRecord): HistoryContent['fields'] {
  return Object.entries(FIELDS)
    .map(([field, valuesOf]) => ({ field, before: [...valuesOf(before)], after: [...valuesOf(after)] }))
    .filter((one) => JSON.stringify(one.before) !== JSON.stringify(one.after));
}
