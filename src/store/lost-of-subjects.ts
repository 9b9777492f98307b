/** Merges lost rows into the subjects that the store still has. */
import type { LostRows } from './lost-rows.ts';
import type { SubjectOfRows } from './proven-subjects.ts';
import type { DamagedReference } from './records.ts';

/** The lost rows without those of one subject: a subject that was enrolled again or expunged lacks nothing any more. */
export function withoutSubject(lost: LostRows, subjectId: string, galleries: boolean, references: boolean): LostRows {
  const isLeft = (one: DamagedReference) => !references || one.subjectId !== subjectId;
  return {
    ...lost,
    references: lost.references.filter(isLeft),
    galleries: new Map([...lost.galleries].filter(([id]) => !galleries || id !== subjectId)),
  };
}

/**
 * Adds lost references and galleries to subjects. A subject may have left such a gallery earlier; searching it there is
 * the lesser evil.
 */
export function addLost(subjects: readonly SubjectOfRows[], lost: LostRows): readonly SubjectOfRows[] {
  if (lost.references.length === 0 && lost.galleries.size === 0) return subjects;
  const references = Map.groupBy(lost.references, ({ subjectId }) => subjectId);
  return subjects.map((one) => {
    const { subject, damaged = [], mayLackGalleries } = one;
    const present = new Set([...one.references, ...damaged].map(({ referenceId }) => referenceId));
    const more = (references.get(subject.subjectId) ?? []).filter(({ referenceId }) => !present.has(referenceId));
    const names = lost.galleries.get(subject.subjectId);
    const isUnsure = names !== undefined && (names.length === 0 || subject.version > 1);
    return {
      ...withNames(one, names),
      ...(damaged.length + more.length > 0 && { damaged: [...damaged, ...more] }),
      ...((mayLackGalleries === true || isUnsure) && { mayLackGalleries: true }),
    };
  });
}

/** Adds galleries from the indexes to subjects with unreadable memberships. */
export function addGalleries(
  subjects: readonly SubjectOfRows[],
  named: ReadonlyMap<string, readonly string[]>,
): readonly SubjectOfRows[] {
  return subjects.map((one) => {
    if (one.mayLackGalleries !== true) return one;
    return { ...withNames(one, named.get(one.subject.subjectId)), mayLackGalleries: one.subject.version > 1 };
  });
}

function withNames(one: SubjectOfRows, names: readonly string[] = []): SubjectOfRows {
  const galleries = [...new Set([...one.subject.galleries, ...names])].sort();
  return { ...one, subject: { ...one.subject, galleries } };
}
