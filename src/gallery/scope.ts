import type { SubjectEntry } from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import { isStillMinor, isSuspended } from './record-life.ts';
import type { RecordClass } from './record-classes.ts';
import { isBefore } from './subject-filter.ts';

/** The record classes that a search may find. */
export interface ClassRules {
  /** Record classes of which it may find subjects; undefined: every class. */
  readonly classes: ClassMask | undefined;
  /** Those of them of which it may find subjects of age. Not given: all of them. */
  readonly ofAge?: ClassMask | undefined;
  /**
   * Those of them of which it may find subjects that are minors at the instant of the search. Not given: none; 'all': all
   * of them.
   */
  readonly minors?: ClassMask | 'all' | undefined;
}

/** What a search may find. */
export interface Scope extends ClassRules {
  /** Gallery names; empty: all galleries. */
  readonly galleries: ReadonlySet<string>;
}

/** All subjects: for the service's own searches, never for a caller's. */
export const EVERYTHING: Scope = { galleries: new Set(), classes: undefined, minors: 'all' };

/**
 * Whether a subject belongs to one of the galleries, and is of a class that may be searched; whatever its limits in time,
 * of age or not.
 */
function inScope(subject: SubjectEntry, { galleries, classes }: Scope): boolean {
  if (classes !== undefined && !classes.allows(subject.recordClass)) return false;
  if (galleries.size === 0) return true;
  for (const gallery of subject.attributes.galleries) if (galleries.has(gallery)) return true;
  return false;
}

/** Whether a search at an instant may find a subject. @param instantMs - in ms since 1970 */
export function isFound(subject: SubjectEntry, scope: Scope, instantMs: number): boolean {
  return isBefore(instantMs, subject.attributes.searchedUntilMs) && mayBeKnown(subject, scope, instantMs);
}

/**
 * Whether a caller may know that there is a subject: it is found, or has passed a limit in time. One that is suspended is
 * for its owner to know of.
 */
export function mayBeKnown(subject: SubjectEntry, scope: Scope, instantMs: number): boolean {
  const { attributes, recordClass } = subject;
  if (isSuspended(attributes)) return false;
  const isMinor = isStillMinor(attributes.minorUntilMs, instantMs);
  return (isMinor ? minorsAreAllowed : ofAgeAreAllowed)(scope, recordClass) && inScope(subject, scope);
}

/** Whether a search may find the minors of a class that it may search. */
export function minorsAreAllowed({ minors }: ClassRules, recordClass: RecordClass): boolean {
  return minors === 'all' || minors?.allows(recordClass) === true;
}

/** Whether a search may find the subjects of age of a class that it may search. */
export function ofAgeAreAllowed({ ofAge }: ClassRules, recordClass: RecordClass): boolean {
  return ofAge === undefined || ofAge.allows(recordClass);
}

/** The masks by which a search decides. */
export function masksOf({ classes, ofAge, minors }: ClassRules): ClassMask[] {
  return [classes, ofAge, minors].filter((mask) => mask !== undefined && mask !== 'all');
}
