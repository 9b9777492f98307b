import { galleryUnknown } from '../store/subject-failure.ts';
import {
  partitionKey,
  type PartitionName,
  type ReferenceLocation,
  type SubjectAttributes,
  type SubjectEntry,
} from './catalogue.ts';
import type { ClassMask } from './class-mask.ts';
import { wallClock, type Clock } from './clock.ts';
import { GalleryNames } from './gallery-names.ts';
import { Ordinals } from './ordinals.ts';
import { Partition } from './partition.ts';
import { RecordClasses, type RecordClass } from './record-classes.ts';
import { ReferenceCounts } from './reference-counts.ts';
import { ReleasedMemory } from './released-memory.ts';
import { Reclamation, type SearchTicket } from './reclamation.ts';
import { Compaction } from './compaction.ts';
import { EVERYTHING, isFound, type Scope } from './scope.ts';
import { Scopes } from './scopes.ts';
import { placesOf, type Segment } from './segment.ts';
import { SegmentSupply, type SegmentSizing } from './segment-supply.ts';
import type { Standing } from './subject-counts.ts';
import { isBefore, type SubjectFilter } from './subject-filter.ts';

/** A reference that becomes searchable. */
export interface SearchableReference {
  readonly referenceId: string;
  readonly partition: PartitionName;
  /** The encoded template. Undefined when the gallery holds it already, and only the subject's data changed. */
  readonly packed: Uint8Array | undefined;
}

/** A change of the gallery, in the order of the store's change sequence. */
export type GalleryChange =
  | {
      readonly kind: 'upsert';
      readonly subjectId: string;
      readonly attributes: SubjectAttributes;
      readonly references: readonly SearchableReference[];
    }
  | { readonly kind: 'expunge'; readonly subjectId: string };

/** Notified of every change of a subject. The entry passed is valid until the call returns. */
export interface GalleryObserver {
  /** Before a subject is changed or removed. */
  before(subject: SubjectEntry): void;
  /** After a subject was added or changed. */
  after(subject: SubjectEntry): void;
}

/** Live and expired references of a partition. Expired: of subjects past a limit in time, or suspended. */
export interface PartitionCount {
  readonly partition: Partition;
  /** References that searches find now. */
  readonly liveCount: number;
  /** References of subjects that no search finds any more. */
  readonly expiredCount: number;
}

/** Sizes of segments by modality. */
export interface GallerySizing {
  readonly finger: SegmentSizing;
  /** @param modelId - a configured face model */
  face(modelId: string): SegmentSizing;
}

/**
 * Everything searchable, in memory: subjects, and their references by partition. Only `apply` changes it,
 * synchronously: between two turns of the event loop it has exactly one version, the number of the last change.
 * Compaction moves references, but does not change the set of them. That a limit in time passes is no change: every search
 * and every count uses its own instant.
 */
export class Gallery {
  readonly #sizing: GallerySizing;
  /** For the partitions of all finger positions. */
  readonly #fingerSegments: SegmentSupply;
  readonly #released: ReleasedMemory;
  readonly #partitions = new Map<string, Partition>();
  readonly #subjects = new Map<string, SubjectEntry>();
  readonly #ordinals = new Ordinals();
  readonly #names: GalleryNames;
  /** Of the subjects, shared with the next gallery. */
  readonly classes: RecordClasses;
  readonly #scopes: Scopes;
  readonly #referenceCounts: ReferenceCounts;
  readonly #clock: Clock;
  readonly #reclamation = new Reclamation();
  /** Of the running searches. */
  readonly #masks = new Map<SearchTicket, readonly ClassMask[]>();
  readonly #observers = new Set<GalleryObserver>();
  #version = 0;

  /**
   * @param clock - decides about limits in time
   * @param names - shared with the next gallery, see ActiveGallery
   * @param released - shared with the next gallery
   * @param classes - shared with the next gallery
   */
  constructor(
    sizing: GallerySizing,
    clock: Clock = wallClock,
    names = new GalleryNames(),
    released = new ReleasedMemory(),
    classes = new RecordClasses(),
  ) {
    this.#sizing = sizing;
    this.#clock = clock;
    this.#names = names;
    this.classes = classes;
    this.#scopes = new Scopes(names, classes);
    this.#referenceCounts = new ReferenceCounts(classes);
    this.#released = released;
    this.#fingerSegments = new SegmentSupply(sizing.finger, this.#released);
  }

  /** Number of the last change visible to searches; 0 for an empty gallery. */
  get version(): number {
    return this.#version;
  }

  /** The instant that a search starting now compares limits in time with, in ms since 1970. */
  now(): number {
    return this.#clock();
  }

  /** Subjects in memory, including those that no search finds any more. */
  get storedSubjectCount(): number {
    return this.#subjects.size;
  }

  /** Subjects that can be found now. */
  get subjectCount(): number {
    return this.subjectsInScope(EVERYTHING);
  }

  /** Stored references of the subjects in memory that cannot be compared. */
  get notComparableCount(): number {
    const instant = this.now();
    let sum = 0;
    for (const { attributes } of this.#subjects.values())
      if (isBefore(instant, attributes.searchedUntilMs)) sum += attributes.notComparableCount;
    return sum;
  }

  /** Partitions in order of modality (finger first), position and model. */
  get partitions(): readonly Partition[] {
    const order = (partition: Partition) =>
      partition.name.modality === 'finger'
        ? `0${String(partition.name.position).padStart(2, '0')}`
        : `1${partition.name.modelId}`;
    return [...this.#partitions.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** Counts of the partitions as of now, in the same order. */
  get partitionCounts(): readonly PartitionCount[] {
    const expired = new Map<string, number>();
    for (const ordinal of this.#scopes.overAt(this.now(), this.ordinalEnd)) {
      for (const { partition } of this.#ordinals.subject(ordinal)?.references ?? []) {
        const key = partitionKey(partition);
        expired.set(key, (expired.get(key) ?? 0) + 1);
      }
    }
    return this.partitions.map((partition) => {
      const expiredCount = expired.get(partition.key) ?? 0;
      return { partition, liveCount: partition.liveCount - expiredCount, expiredCount };
    });
  }

  /** All galleries that ever had a subject, with their present number of subjects, in order of name. */
  get gallerySizes(): readonly (readonly [string, number])[] {
    return this.#scopes.sizesAt(this.now());
  }

  /** Whether a gallery of this name ever had a subject. */
  knows(gallery: string): boolean {
    return this.#names.has(gallery);
  }

  /** @throws Failure GALLERY_UNKNOWN that names each unknown gallery by its index in the list */
  requireKnown(galleries: readonly string[]): void {
    const unknown = galleries.flatMap((name, i) => (this.knows(name) ? [] : [`galleries[${i}]`]));
    if (unknown.length > 0) throw galleryUnknown(...unknown);
  }

  /** A subject, whatever its limits in time. */
  subject(subjectId: string): SubjectEntry | undefined {
    return this.#subjects.get(subjectId);
  }

  /** One past the greatest subject ordinal. */
  get ordinalEnd(): number {
    return this.#ordinals.end;
  }

  /** The subject with this ordinal now. */
  subjectWithOrdinal(ordinal: number): SubjectEntry | undefined {
    return this.#ordinals.subject(ordinal);
  }

  /** For workers: the subjects that a search of this scope may find. @returns undefined: all */
  filterAt(scope: Scope, instantMs: number): SubjectFilter | undefined {
    return this.#scopes.filterAt(scope, instantMs);
  }

  /** The subjects that a search of this scope may find; undefined: too many to list. */
  listed(scope: Scope, instantMs: number): SubjectEntry[] | undefined {
    const ordinals = this.#scopes.listed(scope.galleries);
    if (ordinals === undefined) return undefined;
    return Array.from(ordinals, (ordinal) => this.#ordinals.subject(ordinal)).filter(
      (subject) => subject !== undefined && isFound(subject, scope, instantMs),
    ) as SubjectEntry[];
  }

  /** Whether any subject, whatever its limits in time, is of a class that the mask denies. @param mask - undefined: it denies none */
  masks(mask: ClassMask | undefined): boolean {
    return this.#scopes.masks(mask);
  }

  /** Whether any subject is, or was, a minor by its time. */
  get hasMinors(): boolean {
    return this.#scopes.hasMinors;
  }

  /** Number of subjects, whatever their limits in time, of classes that the mask allows. */
  subjectsAllowedBy(mask: ClassMask): number {
    return this.#scopes.allowedBy(mask);
  }

  /** Number of references in a partition whose subjects are of classes that the mask allows. */
  referencesAllowedBy(mask: ClassMask, partition: PartitionName): number {
    return this.#referenceCounts.allowedBy(mask, partition);
  }

  /** Whether this reference of a subject is searchable now. */
  holds(subjectId: string, referenceId: string): boolean {
    return (
      this.#subjects.get(subjectId)?.references.some((reference) => reference.referenceId === referenceId) ?? false
    );
  }

  partition(name: PartitionName): Partition | undefined {
    return this.#partitions.get(partitionKey(name));
  }

  /** Number of subjects that a search of this scope may find. */
  subjectsInScope(scope: Scope, instantMs = this.now()): number {
    return this.#scopes.sizeAt(scope, instantMs);
  }

  /**
   * Applies the change with number `sequence`. An expunged subject vanishes from every search, including running ones.
   * Replaced references stay visible to searches that started before.
   * @throws RangeError when `sequence` is not the next number
   */
  apply(sequence: number, change: GalleryChange): void {
    if (sequence !== this.#version + 1) throw new RangeError(`change ${sequence} does not follow ${this.#version}`);
    if (change.kind === 'expunge') this.#expunge(change.subjectId);
    else this.#upsert(change.subjectId, change.attributes, change.references, sequence);
    this.#version = sequence;
  }

  /** Adds a subject read from the store at one version. Only into an empty gallery, before `startAt`. */
  load(subjectId: string, attributes: SubjectAttributes, references: readonly SearchableReference[]): void {
    this.#upsert(subjectId, attributes, references, 0);
  }

  /**
   * A new segment of a partition, to be filled from a file. Only before `startAt`.
   * @param recordBytes - approximate total of its records
   * @throws RangeError when there is no memory
   */
  adoptSegment(name: PartitionName, recordBytes: number): Segment {
    return this.#partition(name).addSegment(recordBytes);
  }

  /**
   * Adds a subject whose references are in segments already, owned by the number of subjects entered before. Only into
   * an empty gallery, before `startAt`.
   */
  enter(subjectId: string, attributes: SubjectAttributes, references: readonly ReferenceLocation[]): void {
    this.#admit(subjectId, attributes, references);
  }

  /** Sets the version after loading, or advances it past changes with no effect. */
  startAt(version: number): void {
    if (version < this.#version) throw new RangeError(`version ${version} lies before ${this.#version}`);
    this.#version = version;
  }

  /**
   * Begins a search: references replaced from now on stay readable until the ticket is ended.
   * @param instantMs - the search compares limits in time with it throughout
   * @param masks - what it decides about classes by
   */
  beginSearch(instantMs = this.now(), masks: readonly ClassMask[] = []): SearchTicket {
    const ticket = this.#reclamation.begin(this.#version, instantMs);
    if (masks.length > 0) this.#masks.set(ticket, masks);
    return ticket;
  }

  endSearch(ticket: SearchTicket): void {
    this.#masks.delete(ticket);
    this.#reclamation.end(ticket);
  }

  /** Resolves when the searches running now have ended. */
  presentSearchesEnded(): Promise<void> {
    return new Promise((resolve) => this.#reclamation.afterPresentSearches(resolve));
  }

  /**
   * Begins to compact some segments. Only one compaction may run at a time.
   * @returns undefined: no segment is sparse
   * @throws RangeError when there is no memory for the copy
   */
  beginCompaction(): Compaction | undefined {
    for (const partition of this.#partitions.values()) {
      const segments = partition.segmentsToCompact();
      if (segments.length > 0) return new Compaction(partition, segments, this.#ordinals);
    }
    return undefined;
  }

  /**
   * Releases the spare memory of compacted segments that was unused for a minute, and prompts the collector to find
   * released memory. To be called regularly.
   * @param nowMs - from `performance.now`
   */
  releaseMemory(nowMs: number): void {
    for (const { supply } of this.#partitions.values()) supply.releaseUnused(nowMs);
    this.#released.promptCollection();
  }

  /** Removes a subject without a change: from a gallery being replaced, see ActiveGallery. */
  hide(subjectId: string): void {
    this.#expunge(subjectId);
  }

  /** @returns ends the observation */
  observe(observer: GalleryObserver): () => void {
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** Releases all memory. Only when no search is running or will be. */
  close(): void {
    for (const partition of this.#partitions.values()) partition.close();
    this.#scopes.close();
  }

  #upsert(
    subjectId: string,
    attributes: SubjectAttributes,
    references: readonly SearchableReference[],
    sequence: number,
  ): void {
    let subject = this.#subjects.get(subjectId);
    if (subject === undefined) {
      subject = this.#admit(subjectId, attributes, []);
    } else {
      for (const observer of this.#observers) observer.before(subject);
      const before = standingOf(subject);
      subject.attributes = attributes;
      this.#classify(subject, this.#classOf(attributes));
      for (const hide of this.#scopes.change(subject.ordinal, before, standingOf(subject)))
        this.#reclamation.afterPresentSearches(hide);
    }
    const present = new Map(subject.references.map((location) => [location.referenceId, location]));
    const kept: ReferenceLocation[] = [];
    for (const reference of references) {
      const location = present.get(reference.referenceId);
      if (location !== undefined) {
        present.delete(reference.referenceId);
        kept.push(location);
      } else {
        kept.push(this.#append(reference, subject));
      }
    }
    if (present.size > 0) this.#keepEarlier(subject, sequence);
    this.#referenceCounts.count(subject.references, subject.recordClass, -1);
    this.#referenceCounts.count(kept, subject.recordClass, 1);
    subject.references = kept;
    for (const replaced of present.values()) {
      for (const { segment, index } of placesOf(replaced)) segment.retire(index);
      this.#reclamation.afterSearchesBefore(sequence, () => this.#remove(replaced));
    }
    for (const observer of this.#observers) observer.after(subject);
  }

  #admit(subjectId: string, attributes: SubjectAttributes, references: readonly ReferenceLocation[]): SubjectEntry {
    const recordClass = this.#classOf(attributes);
    const subject = { subjectId, ordinal: this.#ordinals.next(), attributes, recordClass, references, earlier: [] };
    this.#subjects.set(subjectId, subject);
    this.#ordinals.enter(subject);
    this.#scopes.enter(subject.ordinal, standingOf(subject));
    this.#referenceCounts.count(references, recordClass, 1);
    return subject;
  }

  /**
   * A subject's class. Running searches decide about a new one at once: workers would skip a subject that changes from
   * one class to another, although the caller may search both.
   */
  #classOf(attributes: SubjectAttributes): RecordClass {
    const recordClass = this.classes.classOf(attributes);
    for (const mask of [...this.#masks.values()].flat()) {
      try {
        mask.allows(recordClass);
      } catch {
        // Undecided classes are denied. The search itself asks again, and fails.
      }
    }
    return recordClass;
  }

  #classify(subject: SubjectEntry, recordClass: RecordClass): void {
    if (subject.recordClass === recordClass) return;
    this.#referenceCounts.count(subject.references, subject.recordClass, -1);
    this.#referenceCounts.count(subject.references, recordClass, 1);
    subject.recordClass = recordClass;
  }

  /** Keeps the references that are being replaced, for searches that began before. */
  #keepEarlier(subject: SubjectEntry, before: number): void {
    const kept = { before, references: subject.references };
    subject.earlier = [...subject.earlier, kept];
    this.#reclamation.afterSearchesBefore(before, () => {
      subject.earlier = subject.earlier.filter((one) => one !== kept);
    });
  }

  #append(reference: SearchableReference, subject: SubjectEntry): ReferenceLocation {
    const { referenceId, partition: name, packed } = reference;
    if (packed === undefined) throw new Error('a reference that is not in memory came without its template');
    return { referenceId, partition: name, ...this.#partition(name).append(packed, subject.ordinal) };
  }

  #partition(name: PartitionName): Partition {
    const key = partitionKey(name);
    const known = this.#partitions.get(key);
    if (known !== undefined) return known;
    const isFinger = name.modality === 'finger';
    const supply = isFinger ? this.#fingerSegments : new SegmentSupply(this.#sizing.face(name.modelId), this.#released);
    const partition = new Partition(name, supply);
    this.#partitions.set(key, partition);
    return partition;
  }

  #expunge(subjectId: string): void {
    const subject = this.#subjects.get(subjectId);
    if (subject === undefined) return;
    for (const observer of this.#observers) observer.before(subject);
    this.#subjects.delete(subjectId);
    this.#ordinals.leave(subject);
    this.#referenceCounts.count(subject.references, subject.recordClass, -1);
    for (const hide of this.#scopes.leave(subject.ordinal, standingOf(subject)))
      this.#reclamation.afterPresentSearches(hide);
    this.#reclamation.afterPresentSearches(() => this.#ordinals.release(subject.ordinal));
    for (const reference of subject.references) this.#remove(reference);
    for (const { references } of subject.earlier) for (const reference of references) this.#remove(reference);
    subject.references = [];
    subject.earlier = [];
  }

  /** Removes a reference from every search, and wipes its bytes as soon as no kernel can be reading them. */
  #remove(location: ReferenceLocation): void {
    for (const { segment, index } of placesOf(location)) {
      const address = segment.addressOf(index);
      if (address === 0) continue;
      segment.remove(index);
      this.#reclamation.afterPresentSearches(() => segment.erase(index, address));
    }
  }
}

function standingOf({ attributes, recordClass }: SubjectEntry): Standing {
  const { galleries, searchedUntilMs, minorUntilMs } = attributes;
  return { galleries, searchedUntilMs, minorUntilMs, recordClass };
}
