/** Compares the rows of subjects with their MACs: what was changed outside this program is not served. */
import type { Keys } from '../security/keys.ts';
import type { DamagedReference, SubjectsRead, SubjectWithReferences } from './records.ts';
import { galleriesDigest, provenBytes, splitParts, type MacColumns } from './row-macs.ts';

/** The row of the subject, one of its memberships or one of its references is not what was written. */
export const ROW_MAC_MISMATCH = 'ROW_MAC_MISMATCH' as const;
/** The subject has no MAC, though this store has signed its rows. */
export const ROW_UNSIGNED = 'ROW_UNSIGNED';

/** The rows are an earlier state of the subject, with the MAC of then. */
export const ROW_PUT_BACK = 'ROW_PUT_BACK';
/** The subject was expunged, and its rows are there again. */
export const ROW_EXPUNGED = 'ROW_EXPUNGED';

/** Reasons that concern a whole subject: none of its references may be used. */
const OF_SUBJECTS: ReadonlySet<string> = new Set([
  'SUBJECT_DAMAGED',
  ROW_MAC_MISMATCH,
  ROW_UNSIGNED,
  ROW_PUT_BACK,
  ROW_EXPUNGED,
]);

export function isOfSubject({ reason }: DamagedReference): boolean {
  return OF_SUBJECTS.has(reason);
}

/** What the rows lack of what a MAC lists. Rows that damage has hidden may explain it. */
export interface Lacking {
  /** References that are listed and were not read. */
  readonly references: number;
  /** Digest of the memberships, if those that were read have another one. */
  readonly galleries: Buffer | undefined;
}

/** A subject whose rows were read, and may not be all that its MAC lists. */
export interface SubjectOfRows extends Omit<SubjectWithReferences, 'lacking'> {
  readonly lacking?: Lacking | undefined;
}

export interface RowsRead {
  readonly subjects: readonly SubjectOfRows[];
  readonly unreadable: readonly DamagedReference[];
}

/**
 * Compares the rows of a subject with its MAC.
 * @param digests - of the subject's undamaged references
 * @returns what the rows lack; undefined: nothing; or the reason for which none of them may be used
 * @throws Failure KEY_MISSING
 */
export function compareWithMac(
  keys: Keys,
  subject: SubjectWithReferences['subject'],
  columns: MacColumns,
  digests: readonly Buffer[],
): Lacking | typeof ROW_MAC_MISMATCH | typeof ROW_UNSIGNED | undefined {
  if (columns.mac === null) return ROW_UNSIGNED;
  const proven = provenBytes(keys, subject, columns);
  if (proven === undefined) return ROW_MAC_MISMATCH;
  // Rows that are all there, and in their order, as nearly all are.
  if (proven.equals(Buffer.concat([galleriesDigest(subject.galleries), ...digests]))) return undefined;
  const parts = splitParts(proven);
  const listed = new Set(parts.references.map((digest) => digest.toString('latin1')));
  if (digests.some((digest) => !listed.has(digest.toString('latin1')))) return ROW_MAC_MISMATCH;
  const references = listed.size - digests.length;
  const isSame = galleriesDigest(subject.galleries).equals(parts.galleries);
  return references === 0 && isSame ? undefined : { references, galleries: isSame ? undefined : parts.galleries };
}

/**
 * The subjects whose rows are all there, or lack only what damage is known to have hidden. A subject of which anything
 * else is missing was changed outside this program.
 * @param read - with everything that is known of lost rows
 */
export function provenOf<Read extends RowsRead>({
  subjects,
  unreadable,
  ...others
}: Read): Omit<Read, keyof RowsRead> & SubjectsRead {
  const proven: SubjectWithReferences[] = [];
  const more: DamagedReference[] = [];
  for (const { lacking, ...subject } of subjects) {
    if (lacking === undefined || isExplained(subject, lacking)) proven.push(subject);
    else more.push(...unproven(subject, ROW_MAC_MISMATCH));
  }
  return { ...others, subjects: proven, unreadable: more.length === 0 ? unreadable : [...unreadable, ...more] };
}

/** The references of a subject that may not be used; one without an id if none is left. */
export function unproven(
  { subject, references, damaged = [] }: SubjectWithReferences,
  reason: string,
): DamagedReference[] {
  const ids = new Set([...references, ...damaged].map(({ referenceId }) => referenceId));
  return [...(ids.size === 0 ? [''] : ids)].map((referenceId) => ({
    referenceId,
    subjectId: subject.subjectId,
    reason,
  }));
}

function isExplained({ subject, damaged = [], mayLackGalleries }: SubjectWithReferences, lacking: Lacking): boolean {
  const hidden = damaged.filter(({ reason }) => reason !== ROW_MAC_MISMATCH);
  const isUncounted = hidden.some(({ referenceId }) => referenceId === '');
  if (lacking.references > hidden.length && !isUncounted) return false;
  if (lacking.galleries === undefined || mayLackGalleries === true) return true;
  return galleriesDigest(subject.galleries).equals(lacking.galleries);
}
