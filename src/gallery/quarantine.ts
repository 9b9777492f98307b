import type { DamagedReference } from '../store/records.ts';
import { inScope } from './scopes.ts';
import type { Gallery } from './gallery.ts';

/** Told of a reference that was not known to be damaged before. */
export type OnDamage = (found: DamagedReference) => void;

/** Subjects who are looked at one by one for a search; of more all are taken to be in its scope. */
const MAX_EXAMINED = 1000;

/**
 * Stored references that are known to be damaged. They are kept out of searches, while everything else is served; the
 * references of the same subject, too.
 */
export class Quarantine {
  readonly #bySubject = new Map<string, readonly DamagedReference[]>();
  readonly #unsure = new Set<string>();
  #onDamage: OnDamage = () => undefined;
  #count = 0;

  /** @param onDamage - told of those that come from now on */
  constructor(onDamage?: OnDamage) {
    if (onDamage !== undefined) this.#onDamage = onDamage;
  }

  get count(): number {
    return this.#count;
  }

  /** Subjects that may have belonged to more galleries than can be read, or to fewer. */
  get unsureCount(): number {
    return this.#unsure.size;
  }

  /** Whether the galleries of a subject are in doubt, as it was read last. */
  doubtGalleries(subjectId: string, isDoubtful: boolean): void {
    if (isDoubtful) this.#unsure.add(subjectId);
    else this.#unsure.delete(subjectId);
  }

  /** In order of the references' ids. @param limit - at most so many */
  list(limit: number): DamagedReference[] {
    const all = [...this.#bySubject.values()].flat();
    return all.sort((a, b) => (a.referenceId < b.referenceId ? -1 : 1)).slice(0, limit);
  }

  of(subjectId: string): readonly DamagedReference[] {
    return this.#bySubject.get(subjectId) ?? [];
  }

  /**
   * How many of them a search of these galleries leaves out: those who are in none of them, and those that were loaded
   * before they were damaged, are not counted. At most so many, for what cannot be read may be in any gallery.
   * @param galleries - empty: all
   */
  unsearched(gallery: Gallery, galleries: ReadonlySet<string>): number {
    if (this.#bySubject.size > MAX_EXAMINED) return this.#count;
    let count = 0;
    for (const [subjectId, damaged] of this.#bySubject) {
      const entry = gallery.subject(subjectId);
      if (entry !== undefined && !inScope(entry, galleries)) continue;
      for (const { referenceId } of damaged) if (!gallery.holds(subjectId, referenceId)) count++;
    }
    return count;
  }

  /** What is damaged of a subject, as it was read last; it was not read: leaves what is known. */
  set(subjectId: string, damaged: readonly DamagedReference[]): void {
    const before = this.of(subjectId);
    if (damaged.length === 0 && before.length === 0) return;
    this.#count += damaged.length - before.length;
    if (damaged.length === 0) this.#bySubject.delete(subjectId);
    else this.#bySubject.set(subjectId, damaged);
    const known = new Set(before.map(({ referenceId }) => referenceId));
    for (const one of damaged) if (!known.has(one.referenceId)) this.#onDamage(one);
  }

  /** What was met elsewhere, beside what is known. */
  add(damaged: readonly DamagedReference[]): void {
    for (const [subjectId, found] of Map.groupBy(damaged, (one) => one.subjectId)) {
      const known = this.of(subjectId);
      const fresh = found.filter((one) => !known.some(({ referenceId }) => referenceId === one.referenceId));
      if (fresh.length > 0) this.set(subjectId, [...known, ...fresh]);
    }
  }
}
