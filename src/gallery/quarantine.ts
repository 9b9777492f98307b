import type { DamagedReference } from '../store/records.ts';
import { mayBeKnown, type Scope } from './scope.ts';
import type { Gallery } from './gallery.ts';

/** Called for each reference newly found to be damaged. */
export type OnDamage = (found: DamagedReference) => void;

/** Maximum number of subjects checked one by one per search; if there are more, all count as in scope. */
const MAX_EXAMINED = 1000;

/**
 * Stored references known to be damaged. They are left out of searches, while everything else is served, including
 * other references of the same subject.
 */
export class Quarantine {
  readonly #bySubject = new Map<string, readonly DamagedReference[]>();
  readonly #unsure = new Set<string>();
  #onDamage: OnDamage = () => undefined;
  #count = 0;

  /** @param onDamage - called for references found from now on */
  constructor(onDamage?: OnDamage) {
    if (onDamage !== undefined) this.#onDamage = onDamage;
  }

  get count(): number {
    return this.#count;
  }

  /** Subjects whose galleries are uncertain: some names may be unreadable or wrong. */
  get unsureCount(): number {
    return this.#unsure.size;
  }

  /** Sets whether the galleries of a subject are uncertain, as of its last reading. */
  doubtGalleries(subjectId: string, isDoubtful: boolean): void {
    if (isDoubtful) this.#unsure.add(subjectId);
    else this.#unsure.delete(subjectId);
  }

  /** Ordered by reference id. @param limit - maximum returned */
  list(limit: number): DamagedReference[] {
    const all = [...this.#bySubject.values()].flat();
    return all.sort((a, b) => (a.referenceId < b.referenceId ? -1 : 1)).slice(0, limit);
  }

  of(subjectId: string): readonly DamagedReference[] {
    return this.#bySubject.get(subjectId) ?? [];
  }

  /**
   * Upper bound of the damaged references missing from a search of this scope. Subjects outside do not count, nor
   * references loaded before they were damaged. An unreadable subject may be in any gallery and of any class, and counts.
   */
  unsearched(gallery: Gallery, scope: Scope): number {
    if (this.#bySubject.size > MAX_EXAMINED) return this.#count;
    const instantMs = gallery.now();
    let count = 0;
    for (const [subjectId, damaged] of this.#bySubject) {
      const entry = gallery.subject(subjectId);
      if (entry !== undefined && !mayBeKnown(entry, scope, instantMs)) continue;
      for (const { referenceId } of damaged) if (!gallery.holds(subjectId, referenceId)) count++;
    }
    return count;
  }

  /** Sets the damaged references of a subject, as of its last reading. */
  set(subjectId: string, damaged: readonly DamagedReference[]): void {
    const before = this.of(subjectId);
    if (damaged.length === 0 && before.length === 0) return;
    this.#count += damaged.length - before.length;
    if (damaged.length === 0) this.#bySubject.delete(subjectId);
    else this.#bySubject.set(subjectId, damaged);
    const known = new Set(before.map(({ referenceId }) => referenceId));
    for (const one of damaged) if (!known.has(one.referenceId)) this.#onDamage(one);
  }

  /** Adds damaged references found elsewhere. */
  add(damaged: readonly DamagedReference[]): void {
    for (const [subjectId, found] of Map.groupBy(damaged, (one) => one.subjectId)) {
      const known = this.of(subjectId);
      const fresh = found.filter((one) => !known.some(({ referenceId }) => referenceId === one.referenceId));
      if (fresh.length > 0) this.set(subjectId, [...known, ...fresh]);
    }
  }
}
