import { join } from 'node:path';
import { Failure } from '../failure.ts';
import type { DamagedReference } from '../store/records.ts';
import type { ChangeFollower } from '../gallery/change-follower.ts';
import type { Gallery } from '../gallery/gallery.ts';
import type { BlockSealer } from '../files/block-file.ts';
import type { MakeCoder } from './code-files.ts';
import type { IndexedGraph } from './graph-files.ts';
import { loadIndex, type LoadSettings } from './index-loader.ts';
import { readManifest, requireModels, sealOf, type IndexModels, type Manifest } from './manifest.ts';
import { publishedIndex } from './index-catalog.ts';
import type { ActiveGallery } from '../gallery/active-gallery.ts';

export interface IndexSettings {
  /** Directory of the indexes. */
  readonly indexDir: string;
  /** Versions of this program's models. */
  readonly models: IndexModels;
  readonly sealerOf: (keyId: string) => BlockSealer;
  /** See SubjectStore.stateAt. */
  readonly stateAt: (sequence: number) => Promise<string | undefined>;
  /** Makes the coders of references whose codes are in the index. */
  readonly makeCoder: MakeCoder;
  /** Called with the graphs of an index before its gallery is searched; undefined: they are not used. */
  readonly onGraphs?: ((gallery: Gallery, graphs: readonly IndexedGraph[]) => void) | undefined;
  /** Called with the stored references missing from an index because they were damaged when it was built. */
  readonly onDamaged?: (damaged: readonly DamagedReference[]) => void;
}

/** The index in use. */
export interface ServedIndex {
  readonly name: string;
  /** The last change in the index; later changes were applied since. */
  readonly sequence: number;
}

/** A switch may be slow: no caller waits for it, and the same thread serves calls meanwhile. */
const BESIDE_CALLS: LoadSettings = { onProgress: () => undefined, share: 0.2 };

/** Loads the published index: at the start, and whenever another one is published. */
export class IndexSwitcher {
  readonly #settings: IndexSettings;
  readonly #served: ActiveGallery;
  readonly #follower: ChangeFollower;
  #index: ServedIndex | undefined;
  #refused = '';
  #turn: Promise<unknown> = Promise.resolve();

  constructor(settings: IndexSettings, served: ActiveGallery, follower: ChangeFollower) {
    this.#settings = settings;
    this.#served = served;
    this.#follower = follower;
  }

  /** Undefined: the gallery was loaded from the store. */
  get index(): ServedIndex | undefined {
    return this.#index;
  }

  /** Whether the published index was rejected. */
  get isRefusing(): boolean {
    return this.#refused !== '';
  }

  /**
   * Loads the published index unless it is in use already. Calls are queued.
   * @returns whether the gallery was switched
   * @throws Failure why the index is rejected; the gallery stays as it is
   */
  reload(settings = BESIDE_CALLS): Promise<boolean> {
    const turn = this.#turn.then(() => this.#reload(settings));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /**
   * Like `reload`, but does not throw again for an index rejected before. To be called regularly.
   * @throws Failure the first time
   */
  async follow(): Promise<boolean> {
    const name = await publishedIndex(this.#settings.indexDir);
    if (name === undefined || name === this.#index?.name || name === this.#refused) return false;
    return this.reload();
  }

  async #reload(settings: LoadSettings): Promise<boolean> {
    const name = await publishedIndex(this.#settings.indexDir);
    if (name === undefined || name === this.#index?.name) return false;
    try {
      const manifest = await this.#read(name);
      const gallery = await this.#load(name, manifest, settings);
      // Called before the later changes are applied: they may have replaced some of the damaged references.
      this.#settings.onDamaged?.(manifest.damaged ?? []);
      await this.#follower.switchTo(gallery);
      this.#index = { name, sequence: manifest.sequence };
      this.#refused = '';
      return true;
    } catch (error) {
      this.#refused = name;
      throw error instanceof RangeError
        ? new Failure('resource-exhausted', 'INDEX_TOO_LARGE', 'There is not enough memory for the index.', {
            cause: error,
          })
        : error;
    }
  }

  async #read(name: string): Promise<Manifest> {
    const { indexDir, models, sealerOf, stateAt } = this.#settings;
    const manifest = await readManifest(join(indexDir, name), sealerOf);
    requireModels(manifest, models);
    if ((await stateAt(manifest.sequence)) !== manifest.state) {
      const sentence =
        'The index was built from another store, or from this one before it was restored to an earlier state. Build it again: ridgewatch index build.';
      throw new Failure('failed-precondition', 'INDEX_OF_ANOTHER_STORE', sentence);
    }
    return manifest;
  }

  async #load(name: string, manifest: Manifest, settings: LoadSettings): Promise<Gallery> {
    const { indexDir, sealerOf, makeCoder, onGraphs } = this.#settings;
    const gallery = this.#served.makeEmpty();
    try {
      const seal = sealOf(manifest, sealerOf(manifest.keyId));
      const graphs = await loadIndex(join(indexDir, name), manifest, seal, gallery, { ...settings, makeCoder });
      onGraphs?.(gallery, graphs);
      return gallery;
    } catch (error) {
      gallery.close();
      throw error;
    }
  }
}
