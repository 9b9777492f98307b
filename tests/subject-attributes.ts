import type { SubjectAttributes } from '../src/gallery/catalogue.ts';

/** Of a subject of whom nothing else matters. */
export function subjectAttributes(changes: Partial<SubjectAttributes> = {}): SubjectAttributes {
  return {
    version: 1,
    contributor: 'agency',
    galleries: new Set(['main']),
    caveats: [],
    provenance: 'synthetic',
    expireTimeMs: undefined,
    notComparableCount: 0,
    ...changes,
  };
}
