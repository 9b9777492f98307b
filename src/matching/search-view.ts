import { partitionKey, referencesAt, type ReferenceLocation, type SubjectEntry } from '../gallery/catalogue.ts';
import { inScope, type Gallery } from '../gallery/gallery.ts';
import type { SegmentRange } from '../gallery/partition.ts';
import type { SearchTicket } from '../gallery/reclamation.ts';
import { placesOf, type Place, type Segment } from '../gallery/segment.ts';
import { partitionsFor, type Probe } from './probe.ts';

/**
 * The gallery as one search sees it: the version and the ranges are taken in one turn of the event loop, so a change
 * that comes later is neither seen nor half seen. Expunged subjects are the exception: they vanish at once.
 */
export class SearchView {
  readonly version: number;
  /** Subjects in scope, for the false positive identification rate. */
  readonly subjectsInScope: number;
  /** One past the greatest ordinal of a subject that the search may meet. */
  readonly ordinals: number;
  /** Who is in scope, see ShortlistTask. */
  readonly scopes: readonly SharedArrayBuffer[] | undefined;
  readonly #gallery: Gallery;
  readonly #galleries: ReadonlySet<string>;
  readonly #ticket: SearchTicket;
  /** The partitions that each probe is compared with. */
  readonly #keys: ReadonlyMap<Probe, ReadonlySet<string>>;
  readonly #ranges = new Map<string, SegmentRange[]>();
  readonly #ends = new Map<Segment, number>();

  /** @param probes - all that this view will be asked about */
  constructor(gallery: Gallery, probes: readonly Probe[], galleries: ReadonlySet<string>, nowMs: number) {
    this.#gallery = gallery;
    this.#galleries = galleries;
    this.#ticket = gallery.beginSearch(nowMs);
    this.version = this.#ticket.version;
    this.subjectsInScope = gallery.subjectsInScope(galleries);
    this.ordinals = gallery.ordinalEnd;
    this.scopes = galleries.size === 0 ? undefined : gallery.sharedMembers(galleries);
    const namesOf = new Map(probes.map((probe) => [probe, partitionsFor(probe.template)]));
    this.#keys = new Map(Array.from(namesOf, ([probe, names]) => [probe, new Set(names.map(partitionKey))]));
    for (const name of [...namesOf.values()].flat()) {
      const key = partitionKey(name);
      const ranges = this.#ranges.get(key) ?? gallery.partition(name)?.ranges() ?? [];
      this.#ranges.set(key, ranges);
      for (const { segment, end } of ranges) this.#ends.set(segment, end);
    }
  }

  /** What has to be read to compare the probe with everything. */
  rangesFor(probe: Probe): SegmentRange[] {
    return [...this.#keysOf(probe)].flatMap((key) => this.#ranges.get(key) ?? []);
  }

  /** The subject with an ordinal, if this search may return it. */
  subjectWithOrdinal(ordinal: number): SubjectEntry | undefined {
    const subject = this.#gallery.subjectWithOrdinal(ordinal);
    return subject !== undefined && inScope(subject, this.#galleries) ? subject : undefined;
  }

  /** The references of a subject that this probe is compared with, as of this view, and where this view reads them. */
  referencesFor(probe: Probe, subject: SubjectEntry): ReferenceLocation[] {
    const keys = this.#keysOf(probe);
    return referencesAt(subject, this.version).flatMap((location) => {
      const place = keys.has(partitionKey(location.partition)) ? this.placeOf(location) : undefined;
      return place === undefined ? [] : [{ ...location, ...place }];
    });
  }

  /**
   * Where this search reads a reference; undefined: it is not among what it reads. A segment and the copy that a
   * rewriting made of it are never both in one view.
   */
  placeOf(location: ReferenceLocation): Place | undefined {
    return placesOf(location).find(({ segment, index }) => index < (this.#ends.get(segment) ?? 0));
  }

  /** Whether the subject may still be returned: expunged and expired ones may not. */
  isPresent(subject: SubjectEntry, nowMs: number): boolean {
    const { expireTimeMs } = subject.attributes;
    return (
      this.#gallery.subject(subject.subjectId) === subject &&
      inScope(subject, this.#galleries) &&
      (expireTimeMs === undefined || expireTimeMs > nowMs)
    );
  }

  #keysOf(probe: Probe): ReadonlySet<string> {
    const keys = this.#keys.get(probe);
    if (keys === undefined) throw new Error('the view was not made for this probe');
    return keys;
  }

  /** Must be called when the search has ended, however it ended. */
  close(): void {
    this.#gallery.endSearch(this.#ticket);
  }
}
