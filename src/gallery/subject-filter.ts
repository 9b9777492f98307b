/**
 * Which subjects a search may find, as workers see it: columns by ordinal in shared memory, written by the main thread
 * and read by all. Another rule of the kind (a suspension, a class of records) is another column here.
 */
export interface SubjectFilter {
  /** Galleries, see Membership.shared: those in any of them; undefined: whatever galleries they belong to. */
  readonly scopes: readonly SharedArrayBuffer[] | undefined;
  /** undefined: at this instant no subject has expired. */
  readonly expiry: { readonly times: SharedArrayBuffer; readonly instantMs: number } | undefined;
}

/** Whether a subject may be found at an instant. */
export function isBefore(instantMs: number, expireTimeMs: number | undefined): boolean {
  return expireTimeMs === undefined || instantMs < expireTimeMs;
}

/** When subjects expire, as one time for each ordinal; Infinity: never. */
export class ExpiryColumn {
  #times = new Float64Array(new SharedArrayBuffer(8 * 1024));

  /**
   * Milliseconds since 1970, f64. A search that is under way while more room is made keeps the times it began with:
   * subjects that came later are not in its view.
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

  /** The ordinals whose time is over, also of subjects who are gone. */
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
   * Copies entries of a segment's directory, with 0, as if they were removed, for references of subjects who may not be
   * found.
   * @param owners - ordinals; as many as entries
   * @returns how many may be
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

  /** Ordinals beyond the end of a column came later than the search. */
  #passes(ordinal: number): boolean {
    if (this.#times !== undefined && !(this.#times[ordinal] > this.#instantMs)) return false;
    if (this.#scopes === undefined) return true;
    for (const scope of this.#scopes) if (scope[ordinal] > 0) return true;
    return false;
  }
}
