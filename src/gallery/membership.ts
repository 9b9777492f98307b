import type { ClassRules } from './scope.ts';
import { SubjectCounts, type Counted } from './subject-counts.ts';

/** Values of the bytes; 0: neither. */
const BELONGS = 1;
const LEAVING = 2;
/** Galleries up to this size are also kept as a list: the cost of searching one then depends on it alone. */
export const MAX_LISTED = 2048;

/**
 * Which subjects belong to a gallery: one byte per ordinal, shared with the workers. When the array grows, a running
 * search keeps the bytes it began with: later subjects are not in its view.
 */
export class Membership {
  #bytes = new Uint8Array(new SharedArrayBuffer(1024));
  /** Ordinals of the members; undefined: too many. */
  #listed: Set<number> | undefined = new Set();
  readonly #counts = new SubjectCounts();
  /** Former members that are not hidden yet, each with its latest departure. */
  readonly #leaving = new Map<number, object>();

  /** Above 0 at the ordinals of members, and of former members not hidden yet. Ordinals past its end count as 0. */
  get shared(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  /** Ordinals of the members, whatever their limits in time; undefined: too many to list. */
  get listed(): ReadonlySet<number> | undefined {
    return this.#listed;
  }

  /** Number of members that a search by these rules may find. */
  sizeAt(instantMs: number, rules: ClassRules): number {
    return this.#counts.sizeAt(rules, instantMs);
  }

  /** Whether a subject is a member, and not about to be hidden. */
  has(ordinal: number): boolean {
    return this.#bytes[ordinal] === BELONGS;
  }

  /** Adds a subject that is not a member yet. */
  add(ordinal: number, member: Counted): void {
    if (ordinal >= this.#bytes.length) {
      const larger = new Uint8Array(new SharedArrayBuffer(Math.max(ordinal + 1, this.#bytes.length * 2)));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[ordinal] = BELONGS;
    this.#leaving.delete(ordinal);
    this.#counts.add(member);
    this.#listed?.add(ordinal);
    if (this.#counts.size > MAX_LISTED) this.#listed = undefined;
  }

  /** Changes the limits in time or the class of a member. */
  change(from: Counted, to: Counted): void {
    this.#counts.delete(from);
    this.#counts.add(to);
  }

  /**
   * Removes a member. Running searches still see it as a member.
   * @param member - as it was added
   * @returns to be called when these searches have ended: clears the byte, unless the subject came back or left once
   * more
   */
  remove(ordinal: number, member: Counted): () => void {
    const departure = {};
    this.#leaving.set(ordinal, departure);
    this.#bytes[ordinal] = LEAVING;
    this.#counts.delete(member);
    this.#listed?.delete(ordinal);
    // Hysteresis: a subject that joins and leaves at the limit must not rebuild the list each time.
    if (this.#counts.size <= MAX_LISTED / 2) this.#listed ??= this.#list();
    return () => {
      if (this.#leaving.get(ordinal) !== departure) return;
      this.#leaving.delete(ordinal);
      this.#bytes[ordinal] = 0;
    };
  }

  #list(): Set<number> {
    const listed = new Set<number>();
    this.#bytes.forEach((byte, ordinal) => {
      if (byte === BELONGS) listed.add(ordinal);
    });
    return listed;
  }
}
