import type { Provenance } from '../store/records.ts';

/** What policies about records decide by: subjects with equal values are of one class. */
export interface ClassAttributes {
  readonly contributor: string;
  /** In any order; repetitions do not count. */
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
}

/** A class of records. One object for each combination, while any subject is of it: classes are compared by identity. */
export interface RecordClass {
  /** A small whole number: how workers know the class. */
  readonly id: number;
  readonly contributor: string;
  /** Sorted, distinct. */
  readonly caveats: readonly string[];
  readonly provenance: Provenance;
}

/**
 * Limit for what is enrolled: every mask decides about every class, at 0.1 ms each, so with more classes the first search
 * of a caller would take many seconds. Stored subjects are always loaded.
 */
export const MAX_CLASSES = 20_000;
/** Limit for each contributor: none must use up the classes of all. */
export const MAX_CLASSES_PER_CONTRIBUTOR = 1000;

/**
 * The record classes of all galleries in memory: a gallery and the one that replaces it share them. A class that no
 * subject is of any more is dropped, and its id used again.
 */
export class RecordClasses {
  readonly #byContributor = new Map<string, Map<string, RecordClass>>();
  readonly #byId: (RecordClass | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #uses = new Map<RecordClass, number>();
  #version = 0;

  /** Number of classes. */
  get count(): number {
    return this.#uses.size;
  }

  /** Changes whenever a class is added. */
  get version(): number {
    return this.#version;
  }

  /** One past the greatest id. */
  get end(): number {
    return this.#byId.length;
  }

  get all(): readonly RecordClass[] {
    return [...this.#uses.keys()];
  }

  get(id: number): RecordClass | undefined {
    return this.#byId[id];
  }

  /** The class of a subject, also beyond the limits. */
  classOf(attributes: ClassAttributes): RecordClass {
    const { contributor, provenance } = attributes;
    const caveats = normal(attributes.caveats);
    const key = keyOf(provenance, caveats);
    let own = this.#byContributor.get(contributor);
    if (own === undefined) this.#byContributor.set(contributor, (own = new Map<string, RecordClass>()));
    const known = own.get(key);
    if (known !== undefined) return known;
    const added = { id: this.#free.pop() ?? this.#byId.length, contributor, caveats, provenance };
    this.#byId[added.id] = added;
    own.set(key, added);
    this.#uses.set(added, 0);
    this.#version++;
    return added;
  }

  /** Whether a subject with these attributes may be enrolled: its class is known, or there is room for another one. */
  fits({ contributor, caveats, provenance }: ClassAttributes): boolean {
    const own = this.#byContributor.get(contributor);
    if (own?.has(keyOf(provenance, normal(caveats)))) return true;
    return this.count < MAX_CLASSES && (own?.size ?? 0) < MAX_CLASSES_PER_CONTRIBUTOR;
  }

  /** Keeps a class until `release`. */
  retain(recordClass: RecordClass): void {
    this.#uses.set(recordClass, (this.#uses.get(recordClass) ?? 0) + 1);
  }

  /** To be called once for each `retain`, when no search can mean the class by its id any more. */
  release(recordClass: RecordClass): void {
    const left = (this.#uses.get(recordClass) ?? 0) - 1;
    this.#uses.set(recordClass, left);
    if (left > 0) return;
    const { id, contributor, provenance, caveats } = recordClass;
    this.#uses.delete(recordClass);
    this.#byId[id] = undefined;
    this.#free.push(id);
    const own = this.#byContributor.get(contributor);
    own?.delete(keyOf(provenance, caveats));
    if (own?.size === 0) this.#byContributor.delete(contributor);
  }
}

function normal(caveats: readonly string[]): readonly string[] {
  return caveats.length < 2 ? caveats : [...new Set(caveats)].sort();
}

/** @param caveats - sorted, distinct */
function keyOf(provenance: Provenance, caveats: readonly string[]): string {
  return caveats.length === 0 ? provenance : provenance + JSON.stringify(caveats);
}
