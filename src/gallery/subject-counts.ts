import type { SubjectAttributes } from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import type { RecordClass } from './record-classes.ts';
import { SortedTimes } from './sorted-times.ts';

/** What decides whether a subject is in the scope of a search. */
export interface Standing extends Pick<SubjectAttributes, 'galleries' | 'expireTimeMs'> {
  readonly recordClass: RecordClass;
}

type Counted = Pick<Standing, 'expireTimeMs' | 'recordClass'>;

interface Count {
  size: number;
  /** Undefined: no subject ever expires. */
  expiries: SortedTimes | undefined;
}

/** Numbers of subjects, in all and by record class, at any instant. None reads the subjects one by one. */
export class SubjectCounts {
  readonly #all: Count = { size: 0, expiries: undefined };
  readonly #byClass = new Map<RecordClass, Count>();

  /** Subjects, expired or not. */
  get size(): number {
    return this.#all.size;
  }

  /** The classes of the subjects. */
  get classes(): Iterable<RecordClass> {
    return this.#byClass.keys();
  }

  /** @returns whether it is the first subject of its class */
  add({ expireTimeMs, recordClass }: Counted): boolean {
    const known = this.#byClass.get(recordClass);
    const own = known ?? { size: 0, expiries: undefined };
    if (known === undefined) this.#byClass.set(recordClass, own);
    for (const count of [this.#all, own]) {
      count.size++;
      if (expireTimeMs !== undefined) (count.expiries ??= new SortedTimes()).add(expireTimeMs);
    }
    return known === undefined;
  }

  /** @param subject - as it was added @returns whether it was the last subject of its class */
  delete({ expireTimeMs, recordClass }: Counted): boolean {
    const own = this.#byClass.get(recordClass);
    if (own === undefined) throw new RangeError('this subject was not added');
    for (const count of [this.#all, own]) {
      count.size--;
      if (expireTimeMs !== undefined) count.expiries?.delete(expireTimeMs);
    }
    return own.size === 0 && this.#byClass.delete(recordClass);
  }

  /** Number of subjects, expired or not, of classes that the mask allows. Asks it about each class. */
  allowedBy(mask: ClassMask): number {
    let size = 0;
    for (const [recordClass, count] of this.#byClass) if (mask.allows(recordClass)) size += count.size;
    return size;
  }

  /** Number of unexpired subjects. @param mask - undefined: of all classes */
  sizeAt(mask: ClassMask | undefined, instantMs: number): number {
    if (mask === undefined) return sizeAt(this.#all, instantMs);
    let size = 0;
    for (const [recordClass, count] of this.#byClass) if (mask.allows(recordClass)) size += sizeAt(count, instantMs);
    return size;
  }

  /** Number of subjects that have expired at an instant. @param mask - undefined: of all classes */
  expiredAt(instantMs: number, mask?: ClassMask): number {
    if (mask !== undefined) return this.allowedBy(mask) - this.sizeAt(mask, instantMs);
    return this.#all.expiries?.countUntil(instantMs) ?? 0;
  }
}

function sizeAt({ size, expiries }: Count, instantMs: number): number {
  return expiries === undefined ? size : size - expiries.countUntil(instantMs);
}
