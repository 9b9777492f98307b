import type { CurrentGallery } from '../../gallery/active-gallery.ts';
import { partitionKey, type PartitionName } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { GalleryGraphs, type GraphChoice } from './gallery-graphs.ts';
import { GraphCosts } from './graph-costs.ts';
import { LoadTurns } from './load-turns.ts';
import type { GraphFigures } from './partition-graph.ts';
import type { SavedGraph } from './saved-graph.ts';

/** Pause after a failure. */
const PAUSE_MS = 60_000;
/** Comparing these takes a few milliseconds. */
const MAX_PENDING = 256;

export interface GraphLimits {
  /** After a failure, before a graph is built again. */
  readonly pauseMs: number;
  /** References of a partition that searches take along without a graph: all of a small one, the newest of another. */
  readonly maxPending: number;
}

/**
 * Graphs of the current gallery's partitions, in memory. They are built in the background and follow its changes. When
 * another gallery takes its place, its graphs are dropped with its last search, and new ones are built.
 */
export class CandidateGraphs {
  readonly #served: CurrentGallery;
  readonly #choice: GraphChoice;
  readonly #onError: (error: unknown) => void;
  readonly #limits: GraphLimits;
  readonly #costs = new GraphCosts();
  readonly #loads = new LoadTurns();
  readonly #saved = new WeakMap<Gallery, Map<string, SavedGraph>>();
  readonly #retiring = new Set<GalleryGraphs>();
  #current: GalleryGraphs | undefined;
  #caughtUp: Promise<void> | undefined;
  #isStopped = false;

  /**
   * @param choice - decides which partitions get a graph
   * @param onError - called when a graph failed; it is built again after a pause
   */
  constructor(
    served: CurrentGallery,
    choice: GraphChoice,
    onError: (error: unknown) => void,
    limits: Partial<GraphLimits> = {},
  ) {
    this.#served = served;
    this.#choice = choice;
    this.#onError = onError;
    this.#limits = { pauseMs: PAUSE_MS, maxPending: MAX_PENDING, ...limits };
  }

  get figures(): GraphFigures[] {
    return this.#current?.figures ?? [];
  }

  /**
   * Begins and drops graphs as the gallery requires now. To be called regularly; costs next to nothing when there is
   * nothing to do.
   * @returns resolves when the graphs have every change until now, or failed; need not be awaited
   */
  async run(): Promise<void> {
    if (this.#isStopped) return;
    const gallery = this.#served.current;
    if (this.#current?.gallery !== gallery) this.#follow(gallery);
    this.#current?.refresh();
    await (this.#caughtUp ??= this.#catchUp());
  }

  /**
   * A graph to begin with when the gallery becomes the current one. A partition that had a saved graph always has one,
   * whatever the choice. Only before `run` has met the gallery.
   */
  adopt(gallery: Gallery, partition: PartitionName, saved: SavedGraph): void {
    const all = this.#saved.get(gallery) ?? new Map<string, SavedGraph>();
    this.#saved.set(gallery, all);
    all.set(partitionKey(partition), saved);
  }

  /** The graphs of a gallery that `run` has met and that has searches. @param isWanted - tells the gallery */
  graphsOf(isWanted: (gallery: Gallery) => boolean): GalleryGraphs | undefined {
    if (this.#current !== undefined && isWanted(this.#current.gallery)) return this.#current;
    for (const graphs of this.#retiring) if (isWanted(graphs.gallery)) return graphs;
    return undefined;
  }

  /** Ends all threads after their tasks in hand, which take a few milliseconds. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const all = [...this.#retiring, ...(this.#current === undefined ? [] : [this.#current])];
    this.#current = undefined;
    this.#retiring.clear();
    await Promise.all(all.map((graphs) => graphs.stop()));
  }

  #follow(gallery: Gallery): void {
    const old = this.#current;
    const [choice, onError] = [this.#choice, this.#onError];
    const sharing = { costs: this.#costs, loads: this.#loads, ...this.#limits };
    this.#current = new GalleryGraphs(gallery, { choice, onError, ...sharing }, this.#saved.get(gallery));
    this.#saved.delete(gallery);
    if (old === undefined) return;
    this.#retiring.add(old);
    void old.gallery.presentSearchesEnded().then(() => {
      if (this.#retiring.delete(old)) void old.stop();
    });
  }

  async #catchUp(): Promise<void> {
    try {
      // An expunging is noticed at the end of its turn.
      await Promise.resolve();
      await this.#current?.caughtUp();
    } finally {
      this.#caughtUp = undefined;
    }
  }
}
