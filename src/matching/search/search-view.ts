import { referencesAt, type ReferenceLocation, type SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { countReferences, type SegmentRange } from '../../gallery/partition.ts';
import type { SearchTicket } from '../../gallery/reclamation.ts';
import { isFound, masksOf, type Scope } from '../../gallery/scope.ts';
import { placesOf, type Place, type Segment } from '../../gallery/segment.ts';
import type { SubjectFilter } from '../../gallery/subject-filter.ts';
import { partitionsFor, type Probe } from './probe.ts';

/**
 * The gallery as one search sees it. The version, the ranges and the instant for limits in time are taken in one turn of the
 * event loop: later changes are not seen, not even in part, and later clock changes make no difference. Only expunged
 * subjects vanish at once.
 */
export class SearchView {
  readonly version: number;
  /** Subjects in scope, for the FPIR. */
  readonly subjectsInScope: number;
  /** One past the greatest ordinal in the view. */
  readonly ordinals: number;
  /** Subjects in scope, for workers; undefined: all subjects. */
  readonly filter: SubjectFilter | undefined;
  /** The subjects in scope, where a gallery is small enough to list them without scanning all subjects. */
  readonly listed: readonly SubjectEntry[] | undefined;
  /** Share of the subjects in memory that is in scope. */
  readonly scopeShare: number;
  /** Whether subjects in memory are of classes that the caller may not search: what the answer says must not count them. */
  readonly isMasked: boolean;
  /** Subjects in memory that the caller might search: the lists of an index are shares of them. */
  readonly population: number;
  /** In ms since 1970: limits in time are compared with it. */
  readonly instantMs: number;
  readonly #gallery: Gallery;
  readonly #scope: Scope;
  readonly #ticket: SearchTicket;
  /** The ranges that each probe is compared with. */
  readonly #ranges = new Map<Probe, SegmentRange[]>();
  readonly #references = new Map<Probe, number>();
  readonly #partitions = new Map<Probe, number>();
  /** Ends of the ranges by segment: one past the last reference. */
  readonly #ends = new Map<Probe, ReadonlyMap<Segment, number>>();

  /**
   * @param probes - all probes that this view is used with
   * @param instantMs - in ms since 1970: subjects past a limit at this instant are not found. Two searches that must see the
   * same subjects get the same instant.
   */
  constructor(gallery: Gallery, probes: readonly Probe[], scope: Scope, instantMs = gallery.now()) {
    const { classes } = scope;
    const masks = masksOf(scope);
    if (masks.some((one) => !one.isOf(gallery.classes)))
      throw new RangeError('the mask is about the classes of other galleries');
    this.#gallery = gallery;
    this.#scope = scope;
    // First: it decides about all classes of the gallery. What that throws leaves nothing to be closed.
    const mask = classes !== undefined && gallery.masks(classes) ? classes : undefined;
    this.isMasked = mask !== undefined;
    this.#ticket = gallery.beginSearch(instantMs, masks);
    this.version = this.#ticket.version;
    this.instantMs = instantMs;
    this.subjectsInScope = gallery.subjectsInScope(scope, instantMs);
    this.ordinals = gallery.ordinalEnd;
    this.population = mask === undefined ? this.ordinals : gallery.subjectsAllowedBy(mask);
    this.filter = gallery.filterAt(scope, instantMs);
    this.listed = gallery.listed(scope, instantMs);
    this.scopeShare = Math.min(1, this.subjectsInScope / Math.max(1, gallery.storedSubjectCount));
    for (const probe of probes) {
      const names = partitionsFor(probe.template);
      const allowed = names.map((name) => (mask === undefined ? Infinity : gallery.referencesAllowedBy(mask, name)));
      // Without its masked references such a partition would not exist.
      const byPartition = names.map((name, n) => (allowed[n] === 0 ? [] : (gallery.partition(name)?.ranges() ?? [])));
      const ranges = byPartition.flat();
      this.#ranges.set(probe, ranges);
      this.#references.set(
        probe,
        mask === undefined ? countReferences(ranges) : allowed.reduce((sum, count) => sum + count, 0),
      );
      this.#partitions.set(probe, byPartition.filter(({ length }) => length > 0).length);
      this.#ends.set(probe, new Map(ranges.map(({ segment, end }) => [segment, end])));
    }
  }

  /** Whether this is a view of that gallery, which another one may have replaced since. */
  isOf(gallery: Gallery): boolean {
    return gallery === this.#gallery;
  }

  /** The ranges to be read to compare the probe with every reference. */
  rangesFor(probe: Probe): SegmentRange[] {
    return known(this.#ranges, probe);
  }

  /**
   * Number of references that the probe can be compared with, for the answer: at most, since those outside the galleries
   * are included, and without a mask removed ones, too.
   */
  referenceCountFor(probe: Probe): number {
    return known(this.#references, probe);
  }

  /** Number of partitions with references that the probe is compared with. */
  partitionCountFor(probe: Probe): number {
    return known(this.#partitions, probe);
  }

  /** The subject with an ordinal, if this search may return it. */
  subjectWithOrdinal(ordinal: number): SubjectEntry | undefined {
    const subject = this.#gallery.subjectWithOrdinal(ordinal);
    return subject !== undefined && this.isPresent(subject) ? subject : undefined;
  }

  /** The subjects with these ordinals that this search may return. */
  subjectsWithOrdinals(ordinals: Iterable<number>): SubjectEntry[] {
    return Array.from(ordinals, (ordinal) => this.subjectWithOrdinal(ordinal)).filter(
      (subject) => subject !== undefined,
    );
  }

  /** The references of a subject that this probe is compared with, and where this view reads them. */
  referencesFor(probe: Probe, subject: SubjectEntry): ReferenceLocation[] {
    const ends = known(this.#ends, probe);
    return referencesAt(subject, this.version).flatMap((location) => {
      const place = placeIn(ends, location);
      return place === undefined ? [] : [{ ...location, ...place }];
    });
  }

  /** Whether the subject may be returned: false once expunged, outside the galleries, of a masked class, past a limit in time, or hidden as a minor. */
  isPresent(subject: SubjectEntry): boolean {
    return (
      this.#gallery.subjectWithOrdinal(subject.ordinal) === subject && isFound(subject, this.#scope, this.instantMs)
    );
  }

  /** Must be called when the search has ended, also after a failure. */
  close(): void {
    this.#gallery.endSearch(this.#ticket);
  }
}

/**
 * Where a search reads a reference; undefined: outside the view. A segment and the copy that a compaction made of it
 * are never both in one view.
 */
function placeIn(ends: ReadonlyMap<Segment, number>, location: ReferenceLocation): Place | undefined {
  return placesOf(location).find(({ segment, index }) => index < (ends.get(segment) ?? 0));
}

function known<T>(byProbe: ReadonlyMap<Probe, T>, probe: Probe): T {
  const value = byProbe.get(probe);
  if (value === undefined) throw new Error('the view was not made for this probe');
  return value;
}
