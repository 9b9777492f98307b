import type { SubjectAttributes } from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import type { RecordClass } from './record-classes.ts';
import { minorsAreAllowed, ofAgeAreAllowed, type ClassRules } from './scope.ts';
import { SortedTimes } from './sorted-times.ts';

/** What decides whether a subject is in the scope of a search. */
export interface Standing extends Pick<SubjectAttributes, 'galleries' | 'searchedUntilMs' | 'minorUntilMs'> {
  readonly recordClass: RecordClass;
}

export type Counted = Pick<Standing, 'searchedUntilMs' | 'minorUntilMs' | 'recordClass'>;

/** Numbers of subjects by time. */
class Count {
  size = 0;
  /** Undefined: every subject is always searched. */
  #ends: SortedTimes | undefined;
  /** Subjects that are, or were, minors. */
  #minors = 0;
  /** Until when each of these is a minor that is searched. Undefined: there never was one. */
  #minorEnds: SortedTimes | undefined;

  get hasMinors(): boolean {
    return this.#minors > 0;
  }

  add({ searchedUntilMs, minorUntilMs }: Counted): void {
    this.size++;
    if (searchedUntilMs !== undefined) (this.#ends ??= new SortedTimes()).add(searchedUntilMs);
    if (minorUntilMs === undefined) return;
    this.#minors++;
    (this.#minorEnds ??= new SortedTimes()).add(Math.min(minorUntilMs, searchedUntilMs ?? Infinity));
  }

  delete({ searchedUntilMs, minorUntilMs }: Counted): void {
    this.size--;
    if (searchedUntilMs !== undefined) this.#ends?.delete(searchedUntilMs);
    if (minorUntilMs === undefined) return;
    this.#minors--;
    this.#minorEnds?.delete(Math.min(minorUntilMs, searchedUntilMs ?? Infinity));
  }

  /** Subjects that no search finds any more, of age or not. */
  overAt(instantMs: number): number {
    return this.#ends?.countUntil(instantMs) ?? 0;
  }

  /** Subjects that a search finds only where it may find minors. */
  minorsAt(instantMs: number): number {
    return this.#minors - (this.#minorEnds?.countUntil(instantMs) ?? 0);
  }
}

/** Numbers of subjects, in all and by record class, at any instant. None reads the subjects one by one. */
export class SubjectCounts {
  readonly #all = new Count();
  readonly #byClass = new Map<RecordClass, Count>();

  /** Subjects, whatever their limits in time. */
  get size(): number {
    return this.#all.size;
  }

  /** Whether any subject is, or was, a minor by its time. */
  get hasMinors(): boolean {
    return this.#all.hasMinors;
  }

  /** The classes of the subjects. */
  get classes(): Iterable<RecordClass> {
    return this.#byClass.keys();
  }

  /** @returns whether it is the first subject of its class */
  add(subject: Counted): boolean {
    const { recordClass } = subject;
    const known = this.#byClass.get(recordClass);
    const own = known ?? new Count();
    if (known === undefined) this.#byClass.set(recordClass, own);
    this.#all.add(subject);
    own.add(subject);
    return known === undefined;
  }

  /** @param subject - as it was added @returns whether it was the last subject of its class */
  delete(subject: Counted): boolean {
    const { recordClass } = subject;
    const own = this.#byClass.get(recordClass);
    if (own === undefined) throw new RangeError('this subject was not added');
    this.#all.delete(subject);
    own.delete(subject);
    return own.size === 0 && this.#byClass.delete(recordClass);
  }

  /** Number of subjects, whatever their limits in time, of classes that the mask allows. Asks it about each class. */
  allowedBy(mask: ClassMask): number {
    let size = 0;
    for (const [recordClass, count] of this.#byClass) if (mask.allows(recordClass)) size += count.size;
    return size;
  }

  /** Number of subjects that a search by these rules may find. */
  sizeAt(rules: ClassRules, instantMs: number): number {
    const { classes } = rules;
    if (classes === undefined)
      return this.#all.size - this.#all.overAt(instantMs) - this.hiddenByAgeAt(rules, instantMs);
    let size = 0;
    for (const [recordClass, count] of this.#byClass)
      if (classes.allows(recordClass)) size += count.size - count.overAt(instantMs);
    return size - this.hiddenByAgeAt(rules, instantMs);
  }

  /**
   * Number of subjects of classes that are searched which are not found, because they are minors or because they are of
   * age. Asks about each class that has any.
   */
  hiddenByAgeAt(rules: ClassRules, instantMs: number): number {
    const { classes, ofAge, minors } = rules;
    if (ofAge === undefined) {
      const all = this.#all.minorsAt(instantMs);
      if (minors === 'all' || all === 0) return 0;
      if (classes === undefined && minors === undefined) return all;
    }
    let hidden = 0;
    for (const [recordClass, count] of this.#byClass) {
      if (classes?.allows(recordClass) === false) continue;
      const young = count.minorsAt(instantMs);
      if (young > 0 && !minorsAreAllowed(rules, recordClass)) hidden += young;
      if (!ofAgeAreAllowed(rules, recordClass)) hidden += count.size - count.overAt(instantMs) - young;
    }
    return hidden;
  }

  /** Number of subjects that no search finds any more. @param mask - undefined: of all classes */
  overAt(instantMs: number, mask?: ClassMask): number {
    if (mask === undefined) return this.#all.overAt(instantMs);
    let over = 0;
    for (const [recordClass, count] of this.#byClass) if (mask.allows(recordClass)) over += count.overAt(instantMs);
    return over;
  }
}
