import type { IndexSeal } from '../../src/files/block-file.ts';
import { readIndex, type SubjectOfIndex } from '../../src/index-files/index-reader.ts';
import type { IndexShape } from '../../src/index-files/index-writer.ts';

/** An earlier index, or a part of one. */
export interface EarlierIndex {
  readonly directory: string;
  readonly seal: IndexSeal;
  /** False: unfinished. */
  readonly whole: boolean;
}

/**
 * Packed references of earlier indexes. The reference of an id never changes, and need not be prepared again for the
 * same models. The indexes are read in step with the store, in order of the subjects' ids.
 */
export class ReusedReferences {
  readonly #sources: Source[];

  /** @param onDamage - called when reading an earlier index fails; that index is no longer used */
  constructor(indexes: readonly EarlierIndex[], shape: IndexShape, onDamage: (error: unknown) => void) {
    this.#sources = indexes.map((index) => new Source(index, shape, onDamage));
  }

  /** Adds the packed references of a subject to a map. Subjects must be requested in order. */
  async find(subjectId: string, found: Map<string, Uint8Array>): Promise<void> {
    for (const source of this.#sources) await source.find(subjectId, found);
  }

  async close(): Promise<void> {
    for (const source of this.#sources) await source.close();
  }
}

class Source {
  readonly #subjects: AsyncGenerator<SubjectOfIndex, void>;
  readonly #onDamage: (error: unknown) => void;
  #next: SubjectOfIndex | undefined;
  #ended = false;

  constructor({ directory, seal, whole }: EarlierIndex, shape: IndexShape, onDamage: (error: unknown) => void) {
    this.#subjects = readIndex(directory, seal, (name) => shape.vectorBytesOf(name), whole);
    this.#onDamage = onDamage;
  }

  async find(subjectId: string, found: Map<string, Uint8Array>): Promise<void> {
    while (!this.#ended && (this.#next === undefined || this.#next.subjectId < subjectId)) await this.#advance();
    if (this.#next?.subjectId !== subjectId) return;
    const { references, packed } = this.#next;
    references.forEach(([referenceId], i) => found.set(referenceId, packed[i]));
  }

  async close(): Promise<void> {
    await this.#subjects.return(undefined);
  }

  async #advance(): Promise<void> {
    try {
      const { value, done } = await this.#subjects.next();
      this.#next = done === true ? undefined : value;
      this.#ended = done === true;
    } catch (error) {
      this.#ended = true;
      this.#next = undefined;
      this.#onDamage(error);
    }
  }
}
