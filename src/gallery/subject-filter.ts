/** A mask of record classes, in the form that workers read. */
export interface ClassFilter {
  /** u32 for each ordinal: the id of the subject's class. */
  readonly ids: SharedArrayBuffer;
  /** See ClassMask.shared. */
  readonly allowed: SharedArrayBuffer;
}

/** The subjects that a search may not find because of their age, in the form that workers read. */
export interface AgeFilter {
  /** f64 for each ordinal: until then the subject is a minor; -Infinity: it is of age. */
  readonly ends: SharedArrayBuffer;
  readonly instantMs: number;
  /** Classes of which subjects of age may be found; undefined: all. */
  readonly ofAge: ClassFilter | undefined;
  /** Classes of which minors may be found; undefined: none. */
  readonly minors: ClassFilter | 'all' | undefined;
}

/**
 * The subjects that a search may find, in the form that workers read: columns by ordinal in shared memory, written by
 * the main thread.
 */
export interface SubjectFilter {
  /** Members of any of these galleries, see Membership.shared; undefined: no restriction by gallery. */
  readonly scopes: readonly SharedArrayBuffer[] | undefined;
  /** Undefined: every subject is still searched at this instant. */
  readonly expiry: { readonly times: SharedArrayBuffer; readonly instantMs: number } | undefined;
  /** Undefined: every subject is of a class that may be searched. */
  readonly classes: ClassFilter | undefined;
  /** Undefined: the age of a subject keeps none from being found. */
  readonly ages: AgeFilter | undefined;
}

/** The part of a filter that is not about the classes of all subjects; undefined: there is none. */
export function withoutClasses(filter: SubjectFilter | undefined): SubjectFilter | undefined {
  if (filter?.scopes === undefined && filter?.expiry === undefined && filter?.ages === undefined) return undefined;
  return { ...filter, classes: undefined };
}

/** Whether a subject is still searched at an instant. */
export function isBefore(instantMs: number, searchedUntilMs: number | undefined): boolean {
  return searchedUntilMs === undefined || instantMs < searchedUntilMs;
}

/** Times of subjects, one per ordinal. */
export class TimeColumn {
  readonly #absent: number;
  #times = new Float64Array(new SharedArrayBuffer(8 * 1024));

  /** @param absent - kept for a subject that has no such time */
  constructor(absent: number) {
    this.#absent = absent;
  }

  /**
   * Milliseconds since 1970, f64. When the array grows, a running search keeps the times it began with: later subjects
   * are not in its view.
   */
  get shared(): SharedArrayBuffer {
    return this.#times.buffer;
  }

  set(ordinal: number, time: number | undefined): void {
    if (ordinal >= this.#times.length) {
      const larger = new Float64Array(new SharedArrayBuffer(8 * lengthFor(ordinal, this.#times.length)));
      larger.set(this.#times);
      this.#times = larger;
    }
    this.#times[ordinal] = time ?? this.#absent;
  }

  /** Ordinals whose time has passed, including those of removed subjects. */
  *over(instantMs: number, ordinalEnd: number): Generator<number> {
    for (let ordinal = 0; ordinal < ordinalEnd; ordinal++) if (this.#times[ordinal] <= instantMs) yield ordinal;
  }
}

/** Record classes of subjects: one id per ordinal. */
export class ClassColumn {
  #ids = new Uint32Array(new SharedArrayBuffer(4 * 1024));

  /** See ClassFilter. When the array grows, a running search keeps the ids it began with. */
  get shared(): SharedArrayBuffer {
    return this.#ids.buffer;
  }

  set(ordinal: number, classId: number): void {
    if (ordinal >= this.#ids.length) {
      const larger = new Uint32Array(new SharedArrayBuffer(4 * lengthFor(ordinal, this.#ids.length)));
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids[ordinal] = classId;
  }
}

/** Doubles at least: a column that grows is copied. */
function lengthFor(ordinal: number, present: number): number {
  return Math.max(ordinal + 1, 2 * present);
}

/**
 * Clears the values of references whose subjects are of masked classes, as if they had been removed.
 * @param owners - subject ordinals, one for each value
 */
export function clearMasked(values: Uint8Array, owners: Uint32Array, { ids, allowed }: ClassFilter): void {
  const [classOf, isAllowed] = [new Uint32Array(ids), new Uint8Array(allowed)];
  // Ordinals and classes beyond the ends are newer than the search.
  for (let i = 0; i < values.length; i++) if (!(isAllowed[classOf[owners[i]]] > 0)) values[i] = 0;
}

interface ClassBytes {
  readonly ids: Uint32Array;
  readonly allowed: Uint8Array;
}

function bytesOf({ ids, allowed }: ClassFilter): ClassBytes {
  return { ids: new Uint32Array(ids), allowed: new Uint8Array(allowed) };
}

/** Tells by ordinal which subjects a search may not find because of their age. */
export class AgeMask {
  readonly #ends: Float64Array;
  readonly #instantMs: number;
  readonly #ofAge: ClassBytes | 'all';
  readonly #minors: ClassBytes | 'all' | undefined;

  constructor({ ends, instantMs, ofAge, minors }: AgeFilter) {
    this.#ends = new Float64Array(ends);
    this.#instantMs = instantMs;
    this.#ofAge = ofAge === undefined ? 'all' : bytesOf(ofAge);
    this.#minors = minors === 'all' ? 'all' : minors && bytesOf(minors);
  }

  /** Subjects newer than the search are hidden, too. */
  hides(ordinal: number): boolean {
    if (ordinal >= this.#ends.length) return true;
    const allowed = this.#ends[ordinal] <= this.#instantMs ? this.#ofAge : this.#minors;
    if (allowed === 'all') return false;
    return allowed === undefined || !(allowed.allowed[allowed.ids[ordinal]] > 0);
  }
}

/** Applies a filter to references. */
export class SubjectMask {
  readonly #classes: ClassBytes | undefined;
  readonly #scopes: readonly Uint8Array[] | undefined;
  readonly #times: Float64Array | undefined;
  readonly #instantMs: number;
  readonly #ages: AgeMask | undefined;

  constructor({ scopes, expiry, classes, ages }: SubjectFilter) {
    this.#ages = ages && new AgeMask(ages);
    this.#classes = classes && bytesOf(classes);
    this.#scopes = scopes?.map((scope) => new Uint8Array(scope));
    this.#times = expiry && new Float64Array(expiry.times);
    this.#instantMs = expiry?.instantMs ?? 0;
  }

  /**
   * Copies entries of a segment's directory. References of subjects outside the filter get 0, like removed ones.
   * @param owners - subject ordinals, one per entry
   * @returns the number of entries that pass
   */
  copyEntries(directory: Int32Array, owners: Uint32Array, out: Int32Array): number {
    let passed = 0;
    for (let i = 0; i < out.length; i++) {
      const passes = this.#passes(owners[i]);
      out[i] = passes ? directory[i] : 0;
      if (passes) passed++;
    }
    return passed;
  }

  /** Ordinals beyond the end of a column, and classes beyond the end of theirs, are newer than the search. */
  #passes(ordinal: number): boolean {
    const classes = this.#classes;
    if (classes !== undefined && !(classes.allowed[classes.ids[ordinal]] > 0)) return false;
    if (this.#times !== undefined && !(this.#times[ordinal] > this.#instantMs)) return false;
    if (this.#ages?.hides(ordinal) === true) return false;
    if (this.#scopes === undefined) return true;
    for (const scope of this.#scopes) if (scope[ordinal] > 0) return true;
    return false;
  }
}
