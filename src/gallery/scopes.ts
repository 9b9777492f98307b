import type { ClassMask } from './class-mask.ts';
import type { GalleryNames } from './gallery-names.ts';
import { Membership, MAX_LISTED } from './membership.ts';
import type { RecordClasses } from './record-classes.ts';
import type { Scope } from './scope.ts';
import { SubjectCounts, type Standing } from './subject-counts.ts';
import { ClassColumn, ExpiryColumn, type SubjectFilter } from './subject-filter.ts';

/**
 * Which subjects a search may find, and how many there are: by gallery, by record class, and by the instant of the
 * search. An expired subject stays in place and is skipped by searches after that instant: the clock may have been
 * wrong. A masked subject is skipped, too, and no count includes it.
 */
export class Scopes {
  readonly #names: GalleryNames;
  readonly #classes: RecordClasses;
  readonly #members = new Map<string, Membership>();
  readonly #counts = new SubjectCounts();
  readonly #expiryColumn = new ExpiryColumn();
  readonly #classColumn = new ClassColumn();

  constructor(names: GalleryNames, classes: RecordClasses) {
    this.#names = names;
    this.#classes = classes;
  }

  /** Adds a subject. */
  enter(ordinal: number, subject: Standing): void {
    const { galleries, expireTimeMs } = subject;
    this.#classColumn.set(ordinal, subject.recordClass.id);
    this.#expiryColumn.set(ordinal, expireTimeMs);
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
   * Changes a subject's galleries, expiry or class. Running searches keep the old galleries too: a subject that moves
   * between galleries is never missed. A new class holds for them at once.
   * @returns to be called when these searches have ended
   */
  change(ordinal: number, before: Standing, after: Standing): (() => void)[] {
    const isCountedAnew = before.expireTimeMs !== after.expireTimeMs || before.recordClass !== after.recordClass;
    const hidings: (() => void)[] = [];
    if (isCountedAnew) {
      this.#expiryColumn.set(ordinal, after.expireTimeMs);
      this.#classColumn.set(ordinal, after.recordClass.id);
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

  /** Whether any subject, expired or not, is of a class that the mask denies. @param mask - undefined: it denies none */
  masks(mask: ClassMask | undefined): boolean {
    return mask !== undefined && this.#counts.allowedBy(mask) < this.#counts.size;
  }

  /** Number of subjects, expired or not, of classes that the mask allows. */
  allowedBy(mask: ClassMask): number {
    return this.#counts.allowedBy(mask);
  }

  /** Number of unexpired subjects in scope. */
  sizeAt({ galleries, classes }: Scope, instantMs: number): number {
    if (galleries.size === 0) return this.#counts.sizeAt(classes, instantMs);
    const members = this.#known(galleries);
    if (members.length === 1) return members[0].sizeAt(instantMs, classes);
    // Subjects in several galleries count once.
    let count = 0;
    const times = new Float64Array(this.#expiryColumn.shared);
    const ids = new Uint32Array(this.#classColumn.shared);
    const allowed = this.masks(classes) && classes !== undefined ? new Uint8Array(classes.shared) : undefined;
    const end = Math.max(0, ...members.map(({ shared }) => shared.byteLength));
    for (let ordinal = 0; ordinal < end; ordinal++) {
      if (!(times[ordinal] > instantMs) || (allowed !== undefined && !(allowed[ids[ordinal]] > 0))) continue;
      if (members.some((gallery) => gallery.has(ordinal))) count++;
    }
    return count;
  }

  /** Galleries with their number of unexpired subjects, in order of name, including emptied ones. */
  sizesAt(instantMs: number): readonly (readonly [string, number])[] {
    return this.#names.all.map((name) => [name, this.#members.get(name)?.sizeAt(instantMs) ?? 0] as const);
  }

  /** @returns undefined: every subject may be found */
  filterAt({ galleries, classes: mask }: Scope, instantMs: number): SubjectFilter | undefined {
    const scopes = galleries.size === 0 ? undefined : this.#known(galleries).map(({ shared }) => shared);
    const isMasked = mask !== undefined && this.masks(mask);
    const classes = isMasked ? { ids: this.#classColumn.shared, allowed: mask.shared } : undefined;
    // Of those that the caller might find: how subjects are chosen must not follow from masked ones.
    const anyExpired = this.#counts.expiredAt(instantMs, isMasked ? mask : undefined) > 0;
    const expiry = anyExpired ? { times: this.#expiryColumn.shared, instantMs } : undefined;
    const isNone = scopes === undefined && expiry === undefined && classes === undefined;
    return isNone ? undefined : { scopes, expiry, classes };
  }

  /** The ordinals of the galleries' members, expired or masked ones too; undefined: too many to list. */
  listed(galleries: ReadonlySet<string>): ReadonlySet<number> | undefined {
    if (galleries.size === 0) return undefined;
    const all = new Set<number>();
    for (const { listed } of this.#known(galleries)) {
      if (listed === undefined || all.size + listed.size > MAX_LISTED) return undefined;
      for (const ordinal of listed) all.add(ordinal);
    }
    return all;
  }

  /** Expired ordinals, including some of removed subjects. */
  expiredAt(instantMs: number, ordinalEnd: number): Iterable<number> {
    return this.#counts.expiredAt(instantMs) === 0 ? [] : this.#expiryColumn.over(instantMs, ordinalEnd);
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
