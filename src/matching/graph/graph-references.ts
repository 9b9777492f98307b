import type { PartitionName, ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { firstVectors, isSamePartition, vectorAt } from './reference-vectors.ts';
import { MAX_LABEL } from './vector-graph.ts';

/** A reference, and whose it is. */
export interface GraphEntry {
  readonly subject: SubjectEntry;
  readonly location: ReferenceLocation;
}

/** References to be added. */
export interface GraphBatch {
  readonly locations: readonly ReferenceLocation[];
  /** i8 [locations × dimension] */
  readonly vectors: Int8Array;
  readonly labels: Uint32Array;
}

/** Ordinals read in one step: a fraction of a millisecond. */
const ORDINALS_PER_STEP = 2000;
/** References taken over in one step: as long. */
const ADOPTED_PER_STEP = 500;

/**
 * Which references of a partition a graph has, and which it is to have. Known on the main thread only: the graph has
 * labels, numbers that mean nothing elsewhere and are never used twice.
 */
export class GraphReferences {
  readonly #gallery: Gallery;
  readonly #partition: PartitionName;
  readonly #dimension: number;
  readonly #pending = new Map<ReferenceLocation, SubjectEntry>();
  readonly #labels = new Map<ReferenceLocation, number>();
  readonly #entries = new Map<number, GraphEntry>();
  /** Labels of vectors to be removed. */
  #removals: number[] = [];
  /** Subjects below this ordinal have been read. Those that come later are reported by the gallery. */
  #cursor = 0;
  readonly #end: number;
  #nextLabel = 0;

  /** @param dimension - components of a vector */
  constructor(gallery: Gallery, partition: PartitionName, dimension: number) {
    this.#gallery = gallery;
    this.#partition = partition;
    this.#dimension = dimension;
    this.#end = gallery.ordinalEnd;
  }

  /** References in the graph. */
  get count(): number {
    return this.#entries.size;
  }

  /** Whether all references that were there at first have been read. */
  get isRead(): boolean {
    return this.#cursor >= this.#end;
  }

  /** References that are not in the graph yet, of those read or reported. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Vectors that are still to be removed. */
  get removalCount(): number {
    return this.#removals.length;
  }

  pending(): GraphEntry[] {
    return Array.from(this.#pending, ([location, subject]) => ({ subject, location }));
  }

  /**
   * Takes over the references that a graph with the labels 0, 1, … has already, before any other is added. Between steps
   * the gallery may change.
   * @param locations - by label; those that are gone are removed from the graph
   */
  *adopt(locations: readonly ReferenceLocation[]): Generator<void> {
    this.#nextLabel = locations.length;
    for (const [label, location] of locations.entries()) {
      const subject = this.#gallery.subjectWithOrdinal(location.segment.ownerOf(location.index));
      // The ordinal of an expunged subject may be that of another now.
      if (subject?.references.includes(location)) this.#put({ subject, location }, label);
      else this.#removals.push(label);
      if (label % ADOPTED_PER_STEP === 0) yield;
    }
  }

  /** A reference that became searchable. */
  enter(subject: SubjectEntry, location: ReferenceLocation): void {
    if (!this.#labels.has(location)) this.#pending.set(location, subject);
  }

  /** A reference that no search may find any more. */
  leave(location: ReferenceLocation): void {
    if (this.#pending.delete(location)) return;
    const label = this.#labels.get(location);
    if (label === undefined) return;
    this.#labels.delete(location);
    this.#entries.delete(label);
    this.#removals.push(label);
  }

  /** Reads a few more subjects. */
  read(): void {
    const end = Math.min(this.#end, this.#cursor + ORDINALS_PER_STEP);
    for (; this.#cursor < end; this.#cursor++) {
      const subject = this.#gallery.subjectWithOrdinal(this.#cursor);
      for (const location of subject?.references ?? [])
        if (subject !== undefined && isSamePartition(location.partition, this.#partition))
          this.enter(subject, location);
    }
  }

  /** The vectors of the first references, for learning: i8 [count × dimension]. */
  firstVectors(most: number): Generator<void, Int8Array> {
    return firstVectors(this.#gallery, this.#partition, this.#dimension, most);
  }

  /**
   * The next references to be added; they stay pending until `added`.
   * @returns undefined: none
   * @throws RangeError when the labels are used up
   */
  nextBatch(most: number): GraphBatch | undefined {
    const locations: ReferenceLocation[] = [];
    const vectors = new Int8Array(most * this.#dimension);
    for (const location of this.#pending.keys()) {
      if (locations.length === most) break;
      const vector = vectorAt(location, this.#dimension);
      // Removed, and the gallery is about to report it.
      if (vector === undefined) {
        this.#pending.delete(location);
        continue;
      }
      vectors.set(vector, locations.length * this.#dimension);
      locations.push(location);
    }
    if (locations.length === 0) return undefined;
    if (this.#nextLabel + locations.length > MAX_LABEL) throw new RangeError('the labels of a graph are used up');
    const labels = Uint32Array.from(locations, (_, i) => this.#nextLabel + i);
    return { locations, vectors: vectors.subarray(0, locations.length * this.#dimension), labels };
  }

  /** The first `done` references of the last batch are in the graph. */
  added({ locations, labels }: GraphBatch, done: number): void {
    for (let i = 0; i < done; i++) {
      const subject = this.#pending.get(locations[i]);
      // It left meanwhile.
      if (subject === undefined) this.#removals.push(labels[i]);
      else this.#put({ subject, location: locations[i] }, labels[i]);
    }
    this.#nextLabel += done;
  }

  /** Labels of the next vectors to be removed, oldest first. */
  nextRemovals(most: number): Uint32Array {
    return Uint32Array.from(this.#removals.slice(0, most));
  }

  /** The first `done` of them are removed. */
  removed(done: number): void {
    this.#removals = this.#removals.slice(done);
  }

  /** The references with these labels, without those that have left. */
  withLabels(labels: Uint32Array): GraphEntry[] {
    return Array.from(labels, (label) => this.#entries.get(label)).filter((entry) => entry !== undefined);
  }

  #put(entry: GraphEntry, label: number): void {
    this.#pending.delete(entry.location);
    this.#labels.set(entry.location, label);
    this.#entries.set(label, entry);
  }
}
