import type { ClassMask } from './class-mask.ts';
import type { GalleryNames } from './gallery-names.ts';
import { Membership, MAX_LISTED } from './membership.ts';
import type { RecordClasses } from './record-classes.ts';
import { EVERYTHING, type Scope } from './scope.ts';
import { SubjectCounts, type Standing } from './subject-counts.ts';
import { AgeMask, ClassColumn, TimeColumn, type AgeFilter, type SubjectFilter } from './subject-filter.ts';

/**
 * Which subjects a search may find, and how many there are: by gallery, by record class, and by the instant of the
 * search. A subject past its limit in time, or before its coming of age, stays in place and is skipped: the clock may be
 * wrong. A masked subject is skipped, too, and no count includes it.
 */
export class Scopes {
  readonly #names: GalleryNames;
  readonly #classes: RecordClasses;
  readonly #members = new Map<string, Membership>();
  readonly #counts = new SubjectCounts();
  readonly #endColumn = new TimeColumn(Infinity);
  readonly #minorColumn = new TimeColumn(-Infinity);
  readonly #classColumn = new ClassColumn();

  constructor(names: GalleryNames, classes: RecordClasses) {
    this.#names = names;
    this.#classes = classes;
  }

  /** Adds a subject. */
  enter(ordinal: number, subject: Standing): void {
    const { galleries } = subject;
    this.#setColumns(ordinal, subject);
    this.#add(subject);
    this.#names.add(galleries);
    for (const name of galleries) this.#membersOf(name).add(ordinal, subject);
  }

  /** @returns to be called when the running searches have ended */
  leave(ordinal: number, subject: Standing): (() => void)[] {
    const hidings = [...subject.galleries].map((name) => this.#membersOf(name).remove(ordinal, subject));
    return [...hidings, ...this.#delete(subject)];
  }

  /**
   * Changes a subject's galleries, limits in time or class. Running searches keep the old galleries too: a subject that moves
   * between galleries is never missed. A new class holds for them at once.
   * @returns to be called when these searches have ended
   */
  change(ordinal: number, before: Standing, after: Standing): (() => void)[] {
    const isCountedAnew =
      before.searchedUntilMs !== after.searchedUntilMs ||
      before.minorUntilMs !== after.minorUntilMs ||
      before.recordClass !== after.recordClass;
    const hidings: (() => void)[] = [];
    if (isCountedAnew) {
      this.#setColumns(ordinal, after);
      this.#add(after);
      hidings.push(...this.#delete(before));
    }
    this.#names.add(after.galleries);
    for (const name of before.galleries) {
      if (!after.galleries.has(name)) hidings.push(this.#membersOf(name).remove(ordinal, before));
      else if (isCountedAnew) this.#membersOf(name).change(before, after);
    }
    for (const name of after.galleries) if (!before.galleries.has(name)) this.#membersOf(name).add(ordinal, after);
    return hidings;
  }

  /** Forgets all subjects. Only when no search is running. */
  close(): void {
    for (const recordClass of this.#counts.classes) this.#classes.release(recordClass);
  }

  /** Whether any subject, whatever its limits in time, is of a class that the mask denies. @param mask - undefined: it denies none */
  masks(mask: ClassMask | undefined): boolean {
    return mask !== undefined && this.#counts.allowedBy(mask) < this.#counts.size;
  }

  /** Number of subjects, whatever their limits in time, of classes that the mask allows. */
  allowedBy(mask: ClassMask): number {
    return this.#counts.allowedBy(mask);
  }

  /** Whether any subject is, or was, a minor by its time. */
  get hasMinors(): boolean {
    return this.#counts.hasMinors;
  }

  /** Number of subjects that a search of this scope may find. */
  sizeAt(scope: Scope, instantMs: number): number {
    const { galleries, classes } = scope;
    if (galleries.size === 0) return this.#counts.sizeAt(scope, instantMs);
    const members = this.#known(galleries);
    if (members.length === 1) return members[0].sizeAt(instantMs, scope);
    // Subjects in several galleries count once.
    let count = 0;
    const times = new Float64Array(this.#endColumn.shared);
    const ids = new Uint32Array(this.#classColumn.shared);
    const allowed = this.masks(classes) && classes !== undefined ? new Uint8Array(classes.shared) : undefined;
    const ageFilter = this.#agesAt(scope, instantMs);
    const ages = ageFilter && new AgeMask(ageFilter);
    const end = Math.max(0, ...members.map(({ shared }) => shared.byteLength));
    for (let ordinal = 0; ordinal < end; ordinal++) {
      if (!(times[ordinal] > instantMs) || (allowed !== undefined && !(allowed[ids[ordinal]] > 0))) continue;
      if (members.some((gallery) => gallery.has(ordinal)) && ages?.hides(ordinal) !== true) count++;
    }
    return count;
  }

  /** Galleries with their number of subjects that any search may find, in order of name, including emptied ones. */
  sizesAt(instantMs: number): readonly (readonly [string, number])[] {
    return this.#names.all.map((name) => [name, this.#members.get(name)?.sizeAt(instantMs, EVERYTHING) ?? 0] as const);
  }

  /** @returns undefined: every subject may be found */
  filterAt(scope: Scope, instantMs: number): SubjectFilter | undefined {
    const { galleries, classes: mask } = scope;
    const scopes = galleries.size === 0 ? undefined : this.#known(galleries).map(({ shared }) => shared);
    const isMasked = mask !== undefined && this.masks(mask);
    const classes = isMasked ? { ids: this.#classColumn.shared, allowed: mask.shared } : undefined;
    // Of those that the caller might find: how subjects are chosen must not follow from masked ones.
    const anyIsOver = this.#counts.overAt(instantMs, isMasked ? mask : undefined) > 0;
    const expiry = anyIsOver ? { times: this.#endColumn.shared, instantMs } : undefined;
    const ages = this.#agesAt(scope, instantMs);
    const isNone = [scopes, expiry, classes, ages].every((one) => one === undefined);
    return isNone ? undefined : { scopes, expiry, classes, ages };
  }

  /** The ordinals of the galleries' members, those too that no search finds; undefined: too many to list. */
  listed(galleries: ReadonlySet<string>): ReadonlySet<number> | undefined {
    if (galleries.size === 0) return undefined;
    const all = new Set<number>();
    for (const { listed } of this.#known(galleries)) {
      if (listed === undefined || all.size + listed.size > MAX_LISTED) return undefined;
      for (const ordinal of listed) all.add(ordinal);
    }
    return all;
  }

  /** Ordinals that no search finds any more, including some of removed subjects. */
  overAt(instantMs: number, ordinalEnd: number): Iterable<number> {
    return this.#counts.overAt(instantMs) === 0 ? [] : this.#endColumn.over(instantMs, ordinalEnd);
  }

  /** @returns undefined: the age of a subject keeps none from being found */
  #agesAt({ classes, ofAge, minors }: Scope, instantMs: number): AgeFilter | undefined {
    // It decides about every class that is searched, so that the shared answers are complete.
    if (this.#counts.hiddenByAgeAt({ classes, ofAge, minors }, instantMs) === 0) return undefined;
    const ids = this.#classColumn.shared;
    return {
      ends: this.#minorColumn.shared,
      instantMs,
      ofAge: ofAge && { ids, allowed: ofAge.shared },
      minors: minors === 'all' ? 'all' : minors && { ids, allowed: minors.shared },
    };
  }

  #setColumns(ordinal: number, { searchedUntilMs, minorUntilMs, recordClass }: Standing): void {
    this.#classColumn.set(ordinal, recordClass.id);
    this.#endColumn.set(ordinal, searchedUntilMs);
    this.#minorColumn.set(ordinal, minorUntilMs);
  }

  #add(subject: Standing): void {
    if (this.#counts.add(subject)) this.#classes.retain(subject.recordClass);
  }

  /** @returns to be called when no running search can mean the class by its id any more */
  #delete(subject: Standing): (() => void)[] {
    const { recordClass } = subject;
    return this.#counts.delete(subject) ? [() => this.#classes.release(recordClass)] : [];
  }

  #known(galleries: ReadonlySet<string>): Membership[] {
    return [...galleries].flatMap((name) => this.#members.get(name) ?? []);
  }

  #membersOf(name: string): Membership {
    const members = this.#members.get(name) ?? new Membership();
    this.#members.set(name, members);
    return members;
  }
}
