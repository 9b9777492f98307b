import { wallClock, type Clock } from './clock.ts';
import { GalleryNames } from './gallery-names.ts';
import { Gallery, type GallerySizing } from './gallery.ts';
import { RecordClasses } from './record-classes.ts';
import { ReleasedMemory } from './released-memory.ts';

/** Gives the active gallery at the time of access. */
export interface CurrentGallery {
  readonly current: Gallery;
}

/**
 * The gallery that searches see. Another gallery can replace it between two turns of the event loop. Searches that
 * began in the old one end there. Until then expunged subjects are removed from it, too.
 */
export class ActiveGallery implements CurrentGallery {
  readonly #sizing: GallerySizing;
  readonly #clock: Clock;
  readonly #names = new GalleryNames();
  /** Of all subjects in memory. */
  readonly classes = new RecordClasses();
  readonly #released = new ReleasedMemory();
  readonly #retiring = new Set<Gallery>();
  #current: Gallery;

  constructor(sizing: GallerySizing, clock: Clock = wallClock) {
    this.#sizing = sizing;
    this.#clock = clock;
    this.#current = this.makeEmpty();
  }

  get current(): Gallery {
    return this.#current;
  }

  /** The galleries that any subject ever belonged to. */
  get knownGalleries(): Pick<GalleryNames, 'all' | 'count'> {
    return this.#names;
  }

  /** A gallery that can replace the current one. */
  makeEmpty(): Gallery {
    return new Gallery(this.#sizing, this.#clock, this.#names, this.#released, this.classes);
  }

  /**
   * Searches that begin from now on see another gallery.
   * @returns resolves when the last search of the old gallery has ended and its memory is released
   * @throws RangeError when the new gallery's version is older: changes would be undone
   */
  replace(gallery: Gallery): Promise<void> {
    const old = this.#current;
    if (gallery.version < old.version)
      throw new RangeError(`version ${gallery.version} cannot take the place of ${old.version}`);
    this.#current = gallery;
    this.#retiring.add(old);
    return old.presentSearchesEnded().then(() => {
      this.#retiring.delete(old);
      old.close();
      this.#released.promptCollection();
    });
  }

  /** Gallery names from the store. Only the store knows the names of galleries that no longer have subjects. */
  learnNames(names: Iterable<string>): void {
    this.#names.add(names);
  }

  /**
   * Hides the subject from all searches in replaced galleries. In the current gallery a change removes it.
   */
  hide(subjectId: string): void {
    for (const gallery of this.#retiring) gallery.hide(subjectId);
  }
}
