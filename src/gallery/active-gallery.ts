import { wallClock, type Clock } from './clock.ts';
import { GalleryNames } from './gallery-names.ts';
import { Gallery, type GallerySizing } from './gallery.ts';
import { ReleasedMemory } from './released-memory.ts';

/** Whoever looks at the gallery that is served when there is something to do. */
export interface CurrentGallery {
  readonly current: Gallery;
}

/**
 * The gallery that searches see, and that another one can take the place of between two turns of the event loop. Searches
 * that began in the old one end there; until then whoever is expunged is taken out of it, too.
 */
export class ActiveGallery implements CurrentGallery {
  readonly #sizing: GallerySizing;
  readonly #clock: Clock;
  readonly #names = new GalleryNames();
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

  /** A gallery that could become the current one. */
  makeEmpty(): Gallery {
    return new Gallery(this.#sizing, this.#clock, this.#names, this.#released);
  }

  /**
   * Searches that begin from now on see another gallery.
   * @returns resolves when the last search of the old one has ended, and its memory is given up
   * @throws RangeError when its version lies before that of the old one: changes would be taken back
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

  /** Names of galleries that subjects belonged to, as the store has them: of those that were emptied nothing else tells. */
  learnNames(names: Iterable<string>): void {
    this.#names.add(names);
  }

  /** Nobody finds this subject any more, in whichever gallery. The current one learns it by a change of its own. */
  hide(subjectId: string): void {
    for (const gallery of this.#retiring) gallery.hide(subjectId);
  }
}
