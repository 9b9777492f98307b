import { partitionKey, type PartitionName, type SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';

/**
 * The first faces of a model by subject id, and within a subject in the order of its references. Order of enrolment and
 * places in memory do not matter: an index of the same subjects begins with the same faces.
 */
export class FirstFaces {
  readonly #gallery: Gallery;
  readonly #key: string;
  readonly #dimension: number;
  readonly #limit: number;
  readonly #counts: (subject: SubjectEntry) => boolean;
  /** Ascending ids of subjects that have such faces. */
  readonly #subjectIds: string[] = [];

  /**
   * @param limit - maximum number of faces
   * @param counts - subjects whose faces count; by default all
   */
  constructor(
    gallery: Gallery,
    name: Extract<PartitionName, { modality: 'face' }>,
    limit: number,
    counts: (subject: SubjectEntry) => boolean = () => true,
  ) {
    this.#gallery = gallery;
    this.#key = partitionKey(name);
    this.#dimension = name.dimension;
    this.#limit = limit;
    this.#counts = counts;
  }

  /** Looks for the subjects, one at each step. Between steps the gallery may change. */
  *look(): Generator<void> {
    for (let ordinal = 0; ordinal < this.#gallery.ordinalEnd; ordinal++) {
      const subject = this.#gallery.subjectWithOrdinal(ordinal);
      if (subject !== undefined) this.#consider(subject);
      yield;
    }
  }

  /** To be called after `look`. @returns i8 [count × dimension] */
  read(): Int8Array {
    const faces = new Uint8Array(this.#limit * this.#dimension);
    let count = 0;
    for (const subjectId of this.#subjectIds) {
      // Undefined: expunged since.
      for (const { partition, segment, index } of this.#gallery.subject(subjectId)?.references ?? []) {
        if (count === this.#limit || partitionKey(partition) !== this.#key) continue;
        faces.set(segment.packed(index), this.#dimension * count++);
      }
    }
    return new Int8Array(faces.buffer, 0, count * this.#dimension);
  }

  #consider(subject: SubjectEntry): void {
    const { subjectId, references } = subject;
    const ids = this.#subjectIds;
    const isFull = ids.length === this.#limit;
    if (isFull && subjectId > ids[ids.length - 1]) return;
    if (!this.#counts(subject) || !references.some(({ partition }) => partitionKey(partition) === this.#key)) return;
    if (isFull) ids.pop();
    let [low, high] = [0, ids.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ids[middle] < subjectId) low = middle + 1;
      else high = middle;
    }
    ids.splice(low, 0, subjectId);
  }
}
