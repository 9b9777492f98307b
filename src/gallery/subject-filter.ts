/**
 * The subjects that a search may find, in the form that workers read: columns by ordinal in shared memory, written by
 * the main thread. A further rule (a suspension, a class of records) would be a further column here.
 */
export interface SubjectFilter {
  /** Members of any of these galleries, see Membership.shared; undefined: no restriction by gallery. */
  readonly scopes: readonly SharedArrayBuffer[] | undefined;
  /** Undefined: no subject has expired at this instant. */
  readonly expiry: { readonly times: SharedArrayBuffer; readonly instantMs: number } | undefined;
}

/** Whether a subject may be found at an instant. */
export function isBefore(instantMs: number, expireTimeMs: number | undefined): boolean {
  return expireTimeMs === undefined || instantMs < expireTimeMs;
}

/** Expiry of subjects: one time per ordinal; Infinity: never. */
export class ExpiryColumn {
  #times = new Float64Array(new SharedArrayBuffer(8 * 1024));

  /**
   * Milliseconds since 1970, f64. When the array grows, a running search keeps the times it began with: later subjects
   * are not in its view.
   */
  get shared(): SharedArrayBuffer {
    return this.#times.buffer;
  }

  set(ordinal: number, expireTimeMs: number | undefined): void {
    if (ordinal >= this.#times.length) {
      const length = Math.max(ordinal + 1, this.#times.length * 2);
      const larger = new Float64Array(new SharedArrayBuffer(8 * length));
      larger.set(this.#times);
      this.#times = larger;
    }
    this.#times[ordinal] = expireTimeMs ?? Infinity;
  }

  /** Expired ordinals, including those of removed subjects. */
  *over(instantMs: number, ordinalEnd: number): Generator<number> {
    for (let ordinal = 0; ordinal < ordinalEnd; ordinal++) if (this.#times[ordinal] <= instantMs) yield ordinal;
  }
}

/** Applies a filter to references. */
export class SubjectMask {
  readonly #scopes: readonly Uint8Array[] | undefined;
  readonly #times: Float64Array | undefined;
  readonly #instantMs: number;

  constructor({ scopes, expiry }: SubjectFilter) {
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

  /** Ordinals beyond the end of a column are newer than the search. */
  #passes(ordinal: number): boolean {
    if (this.#times !== undefined && !(this.#times[ordinal] > this.#instantMs)) return false;
    if (this.#scopes === undefined) return true;
    for (const scope of this.#scopes) if (scope[ordinal] > 0) return true;
    return false;
  }
}
