import type { SubjectAttributes } from '../src/gallery/catalogue.ts';

/** Attributes of a subject whose other properties do not matter. */
export function subjectAttributes(changes: Partial<SubjectAttributes> = {}): SubjectAttributes {
  return {
    version: 1,
    contributor: 'agency',
    galleries: new Set(['main']),
    caveats: [],
    provenance: 'synthetic',
    searchedUntilMs: undefined,
    minorUntilMs: undefined,
    handling: undefined,
    notComparableCount: 0,
    ...changes,
  };
}
