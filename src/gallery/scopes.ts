import type { SubjectAttributes, SubjectEntry } from './catalogue.ts';
import type { GalleryNames } from './gallery-names.ts';
import { Membership, MAX_LISTED } from './membership.ts';
import { SortedTimes } from './sorted-times.ts';
import { ExpiryColumn, isBefore, type SubjectFilter } from './subject-filter.ts';

/** Decides whether a subject is in the scope of a search. */
type Membering = Pick<SubjectAttributes, 'galleries' | 'expireTimeMs'>;

/**
 * Which subjects a search may find, and how many there are: by gallery, and by the instant of the search. An expired
 * subject stays in place and is skipped by searches after that instant: the clock may have been wrong.
 */
export class Scopes {
  readonly #names: GalleryNames;
  readonly #members = new Map<string, Membership>();
  readonly #expiries = new SortedTimes();
  readonly #column = new ExpiryColumn();
  #size = 0;

  constructor(names: GalleryNames) {
    this.#names = names;
  }

  /** Adds a subject. */
  enter(ordinal: number, { galleries, expireTimeMs }: Membering): void {
    this.#size++;
    this.#column.set(ordinal, expireTimeMs);
    if (expireTimeMs !== undefined) this.#expiries.add(expireTimeMs);
    this.#names.add(galleries);
    for (const name of galleries) this.#membersOf(name).add(ordinal, expireTimeMs);
  }

  /** @returns to be called when the running searches have ended */
  leave(ordinal: number, { galleries, expireTimeMs }: Membering): (() => void)[] {
    this.#size--;
    if (expireTimeMs !== undefined) this.#expiries.delete(expireTimeMs);
    return [...galleries].map((name) => this.#membersOf(name).remove(ordinal, expireTimeMs));
  }

  /**
   * Changes a subject's galleries or expiry. Running searches keep the old galleries too: a subject that moves between
   * galleries is never missed.
   * @returns to be called when these searches have ended
   */
  change(ordinal: number, before: Membering, after: Membering): (() => void)[] {
    const [from, to] = [before.expireTimeMs, after.expireTimeMs];
    if (from !== to) {
      this.#column.set(ordinal, to);
      if (from !== undefined) this.#expiries.delete(from);
      if (to !== undefined) this.#expiries.add(to);
    }
    this.#names.add(after.galleries);
    const hidings: (() => void)[] = [];
    for (const name of before.galleries) {
      if (!after.galleries.has(name)) hidings.push(this.#membersOf(name).remove(ordinal, from));
      else if (from !== to) this.#membersOf(name).reschedule(from, to);
    }
    for (const name of after.galleries) if (!before.galleries.has(name)) this.#membersOf(name).add(ordinal, to);
    return hidings;
  }

  /** Number of unexpired subjects in any of the galleries. @param galleries - empty: all subjects */
  sizeAt(galleries: ReadonlySet<string>, instantMs: number): number {
    if (galleries.size === 0) return this.#size - this.#expiries.countUntil(instantMs);
    const members = this.#known(galleries);
    if (members.length === 1) return members[0].sizeAt(instantMs);
    // Subjects in several galleries count once.
    let count = 0;
    const times = new Float64Array(this.#column.shared);
    const end = Math.max(0, ...members.map(({ shared }) => shared.byteLength));
    for (let ordinal = 0; ordinal < end; ordinal++) {
      if (times[ordinal] > instantMs && members.some((gallery) => gallery.has(ordinal))) count++;
    }
    return count;
  }

  /** Galleries with their number of unexpired subjects, in order of name, including emptied ones. */
  sizesAt(instantMs: number): readonly (readonly [string, number])[] {
    return this.#names.all.map((name) => [name, this.#members.get(name)?.sizeAt(instantMs) ?? 0] as const);
  }

  /** @returns undefined: every subject may be found */
  filterAt(galleries: ReadonlySet<string>, instantMs: number): SubjectFilter | undefined {
    const scopes = galleries.size === 0 ? undefined : this.#known(galleries).map(({ shared }) => shared);
    const anyExpired = this.#expiries.countUntil(instantMs) > 0;
    const expiry = anyExpired ? { times: this.#column.shared, instantMs } : undefined;
    return scopes === undefined && expiry === undefined ? undefined : { scopes, expiry };
  }

  /** The ordinals in scope, expired or not; undefined: too many to list. */
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
    return this.#expiries.countUntil(instantMs) === 0 ? [] : this.#column.over(instantMs, ordinalEnd);
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

/** Whether a subject belongs to one of the galleries; an empty set means all. */
export function inScope(subject: SubjectEntry, galleries: ReadonlySet<string>): boolean {
  if (galleries.size === 0) return true;
  for (const gallery of subject.attributes.galleries) if (galleries.has(gallery)) return true;
  return false;
}

/** Whether a search of these galleries at an instant may find a subject. @param instantMs - in ms since 1970 */
export function isFound(subject: SubjectEntry, galleries: ReadonlySet<string>, instantMs: number): boolean {
  return inScope(subject, galleries) && isBefore(instantMs, subject.attributes.expireTimeMs);
}
