import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery, GalleryObserver } from '../../gallery/gallery.ts';

/** What the changes of a gallery mean for its references. */
export interface ReferenceChanges {
  /** A reference became searchable. */
  enter(subject: SubjectEntry, location: ReferenceLocation): void;
  /** No search may find a reference any more: it was expunged, or the last search that still reads it has ended. */
  leave(location: ReferenceLocation): void;
}

/**
 * Tells which references come and go. A replaced reference goes when the searches that began before have ended, an
 * expunged one in the same turn of the event loop.
 */
export class GraphChanges implements GalleryObserver {
  readonly #gallery: Gallery;
  readonly #changes: ReferenceChanges;
  /** The subject being changed or expunged, and its references before, including those that old searches read. */
  #changing: { readonly subject: SubjectEntry; readonly references: readonly ReferenceLocation[] } | undefined;
  /** Replaced references that have not left yet, for the case that their subject is expunged. */
  readonly #replaced = new Map<SubjectEntry, Set<ReferenceLocation>>();

  constructor(gallery: Gallery, changes: ReferenceChanges) {
    this.#gallery = gallery;
    this.#changes = changes;
  }

  before(subject: SubjectEntry): void {
    this.#settle();
    this.#changing = { subject, references: subject.references };
    // After a change `after` is called in the same turn. After an expunging nothing is.
    queueMicrotask(() => this.#settle());
  }

  after(subject: SubjectEntry): void {
    // Nothing is called before a subject is added.
    if (this.#changing?.subject !== subject) this.#settle();
    const before = this.#changing?.references ?? [];
    this.#changing = undefined;
    for (const location of subject.references) if (!before.includes(location)) this.#changes.enter(subject, location);
    const replaced = before.filter((location) => !subject.references.includes(location));
    if (replaced.length > 0) this.#keepForSearches(subject, replaced);
  }

  #keepForSearches(subject: SubjectEntry, replaced: readonly ReferenceLocation[]): void {
    const kept = this.#replaced.get(subject) ?? new Set();
    this.#replaced.set(subject, kept);
    for (const location of replaced) kept.add(location);
    void this.#gallery.presentSearchesEnded().then(() => {
      for (const location of replaced) if (kept.delete(location)) this.#changes.leave(location);
      if (kept.size === 0 && this.#replaced.get(subject) === kept) this.#replaced.delete(subject);
    });
  }

  /** Ends the last change, if it was an expunging. */
  #settle(): void {
    if (this.#changing === undefined) return;
    const { subject, references } = this.#changing;
    this.#changing = undefined;
    const replaced = this.#replaced.get(subject) ?? new Set();
    this.#replaced.delete(subject);
    for (const location of [...references, ...replaced]) this.#changes.leave(location);
    replaced.clear();
  }
}
