import type { SubjectEntry } from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import { isBefore } from './subject-filter.ts';

/** What a search may find. */
export interface Scope {
  /** Gallery names; empty: all galleries. */
  readonly galleries: ReadonlySet<string>;
  /** Record classes that the caller may search; undefined: every class. */
  readonly classes: ClassMask | undefined;
}

/** All subjects: for the service's own searches, never for a caller's. */
export const EVERYTHING: Scope = { galleries: new Set(), classes: undefined };

/** Whether a subject belongs to one of the galleries, and is of a class that may be searched; expired or not. */
export function inScope(subject: SubjectEntry, { galleries, classes }: Scope): boolean {
  if (classes !== undefined && !classes.allows(subject.recordClass)) return false;
  if (galleries.size === 0) return true;
  for (const gallery of subject.attributes.galleries) if (galleries.has(gallery)) return true;
  return false;
}

/** Whether a search at an instant may find a subject. @param instantMs - in ms since 1970 */
export function isFound(subject: SubjectEntry, scope: Scope, instantMs: number): boolean {
  return isBefore(instantMs, subject.attributes.expireTimeMs) && inScope(subject, scope);
}
