/** The rules for the life of a record, once more and in plain words: what searches are compared with. */
import type { RecordLife, SubjectRecord } from '../../src/store/records.ts';

/** A record, of a person who has two. */
export interface PlainRecord extends RecordLife {
  readonly subjectId: string;
  readonly person: number;
  readonly contributor: string;
  readonly provenance: SubjectRecord['provenance'];
  readonly galleries: readonly string[];
}

/** What a caller may search. */
export interface PlainCaller {
  readonly name: string;
  /** Of subjects of age. */
  mayRead(record: PlainRecord): boolean;
  mayReadMinors(record: PlainRecord): boolean;
}

/** Why a search may not find a record. */
export const HIDINGS = ['expired', 'overdue', 'suspended', 'minor', 'masked', 'elsewhere'] as const;
export type Hiding = (typeof HIDINGS)[number];

/**
 * @param galleries - that are searched; empty: all
 * @param instantMs - of the search
 * @returns undefined: it must be found
 */
export function hidingOf(
  record: PlainRecord,
  caller: PlainCaller,
  galleries: readonly string[],
  instantMs: number,
): Hiding | undefined {
  const { expireTime, reviewTime, suspended, minorUntil } = record;
  if (suspended) return 'suspended';
  if (expireTime !== undefined && expireTime.getTime() <= instantMs) return 'expired';
  if (reviewTime !== undefined && reviewTime.getTime() <= instantMs) return 'overdue';
  const isMinor = minorUntil !== undefined && minorUntil.getTime() > instantMs;
  if (isMinor && !caller.mayReadMinors(record)) return 'minor';
  if (!isMinor && !caller.mayRead(record)) return 'masked';
  if (galleries.length > 0 && !record.galleries.some((name) => galleries.includes(name))) return 'elsewhere';
  return undefined;
}
