import { MAX_CLASSES, type RecordClass, type RecordClasses } from './record-classes.ts';
import { inSlices, SLICE_MS } from './slices.ts';

const ALLOWED = 1;

/**
 * Which record classes a caller may search. Each class is decided about once; the answers are kept, and shared with the
 * workers. Undecided classes are denied there, so a search asks `allows` about every class that its gallery has.
 */
export class ClassMask {
  readonly #classes: RecordClasses;
  readonly #decide: (recordClass: RecordClass) => boolean;
  /** By id: the class that the byte is about. Ids are used again. */
  readonly #decided: (RecordClass | undefined)[] = [];
  #bytes = new Uint8Array(new SharedArrayBuffer(MAX_CLASSES));
  #preparedAt = -1;

  /**
   * @param classes - those of the galleries that are searched
   * @param allows - decides, once about each class; what it throws ends the search
   */
  constructor(classes: RecordClasses, allows: (recordClass: RecordClass) => boolean) {
    this.#classes = classes;
    this.#decide = allows;
  }

  /** u8 by class id: 1 where the class may be searched. Ids past its end may not. */
  get shared(): SharedArrayBuffer {
    return this.#bytes.buffer;
  }

  /** Whether it is about these classes: another gallery's have other ids. */
  isOf(classes: RecordClasses): boolean {
    return classes === this.#classes;
  }

  /** Whether subjects of this class may be searched. Decides where that was not done yet. */
  allows(recordClass: RecordClass): boolean {
    const { id } = recordClass;
    if (this.#decided[id] !== recordClass) {
      const isAllowed = this.#decide(recordClass);
      this.#reserve(id + 1);
      this.#bytes[id] = isAllowed ? ALLOWED : 0;
      this.#decided[id] = recordClass;
    }
    return this.#bytes[id] === ALLOWED;
  }

  /**
   * Decides about all classes, with turns of the event loop in between: the first search of a caller would otherwise
   * hold up all others.
   * @throws the signal's reason
   */
  async prepare(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { version } = this.#classes;
    if (version === this.#preparedAt) return;
    await inSlices(this.#undecided(), SLICE_MS, () => signal?.aborted === true);
    signal?.throwIfAborted();
    this.#preparedAt = version;
  }

  *#undecided(): Generator<void> {
    for (let id = 0; id < this.#classes.end; id++) {
      const recordClass = this.#classes.get(id);
      if (recordClass === undefined || this.#decided[id] === recordClass) continue;
      this.allows(recordClass);
      yield;
    }
  }

  /** A running search keeps the bytes it began with. */
  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const larger = new Uint8Array(new SharedArrayBuffer(Math.max(length, 2 * this.#bytes.length)));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
