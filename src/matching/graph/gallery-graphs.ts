import { partitionKey, type PartitionName, type ReferenceLocation } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import type { Partition } from '../../gallery/partition.ts';
import { GraphChanges } from './graph-changes.ts';
import type { GraphEntry } from './graph-references.ts';
import { GraphLostError } from './graph-thread.ts';
import { PartitionGraph, type GraphFigures, type GraphSharing } from './partition-graph.ts';
import { isSamePartition, MAX_GRAPH_DIMENSION, vectorDimension } from './reference-vectors.ts';
import type { SavedGraph } from './saved-graph.ts';

/** Between `covers` and a search the numbers may grow. A search lists at most this many times as many. */
const LENIENCE = 2;
/**
 * A graph is kept while its partition has this share of the references for which one is built: at the limit it must not
 * be built repeatedly.
 */
const KEPT_SHARE = 1 / 2;

/** Decides which partitions get a graph. */
export type GraphChoice = (partition: PartitionName, liveCount: number) => boolean;

export interface GraphSettings extends GraphSharing {
  readonly choice: GraphChoice;
  readonly onError: (error: unknown) => void;
  /** After a failure, before the graph is built again. */
  readonly pauseMs: number;
}

interface Failed {
  readonly error: string;
  readonly untilMs: number;
}

/** The graphs of one gallery. */
export class GalleryGraphs {
  readonly gallery: Gallery;
  readonly #settings: GraphSettings;
  readonly #graphs = new Map<string, PartitionGraph>();
  /**
   * Graphs to begin with, each for one use. Undefined once used: it would keep the memory of the segments that its
   * references were in, also when they have been compacted.
   */
  readonly #saved: Map<string, SavedGraph | undefined>;
  readonly #dropped = new Set<PartitionGraph>();
  readonly #failed = new Map<string, Failed>();
  readonly #endChanges: () => void;

  /** @param saved - by key of their partition; a partition that had a saved graph always has one */
  constructor(gallery: Gallery, settings: GraphSettings, saved: ReadonlyMap<string, SavedGraph> = new Map()) {
    this.gallery = gallery;
    this.#saved = new Map(saved);
    this.#settings = settings;
    this.#endChanges = gallery.observe(
      new GraphChanges(gallery, {
        enter: (subject, location) => this.#graphOf(location)?.enter(subject, location),
        leave: (location) => this.#graphOf(location)?.leave(location),
      }),
    );
  }

  get figures(): GraphFigures[] {
    return this.gallery.partitions.flatMap(({ key, liveCount }): GraphFigures[] => {
      const graph = this.#graphs.get(key);
      const error = this.#failed.get(key)?.error;
      if (graph !== undefined) return [{ ...graph.figures, error }];
      if (error === undefined) return [];
      return [{ partition: key, references: 0, pending: liveCount, removals: 0, bytes: 0, state: 'failed', error }];
    });
  }

  /** Drops graphs that are not wanted any more, and begins to build those that are missing. */
  refresh(): void {
    const partitions = this.gallery.partitions;
    for (const partition of partitions) {
      const graph = this.#graphs.get(partition.key);
      if (graph !== undefined && (graph.isOutgrown || !this.#isWanted(partition, KEPT_SHARE))) this.#drop(graph);
    }
    for (const partition of partitions) {
      const { key } = partition;
      const isPaused = performance.now() < (this.#failed.get(key)?.untilMs ?? 0);
      if (!this.#graphs.has(key) && !isPaused && this.#isWanted(partition, 1)) this.#begin(partition);
    }
  }

  /** Whether `similar` considers every reference of a partition. */
  covers(name: PartitionName): boolean {
    const { liveCount = 0 } = this.gallery.partition(name) ?? {};
    return liveCount <= this.#settings.maxPending || (this.#graphs.get(partitionKey(name))?.isReady ?? false);
  }

  /** Expected thread time of `similar`, in ms. */
  expectedMs(name: PartitionName, ef: number): number {
    return this.#graphs.get(partitionKey(name))?.expectedMs(ef) ?? 0;
  }

  /**
   * References of a partition that are similar to a vector, and those that no graph has yet.
   * @throws GraphLostError where the graph has failed or was dropped since it covered the partition; the signal's reason
   */
  async similar(name: PartitionName, vector: Int8Array, ef: number, signal: AbortSignal): Promise<GraphEntry[]> {
    const { maxPending } = this.#settings;
    const partition = this.gallery.partition(name);
    if (partition === undefined) return [];
    // Few references need no graph.
    if (partition.liveCount <= maxPending) return this.#all(partition);
    const graph = this.#graphs.get(partition.key);
    if (graph?.isComplete(LENIENCE * maxPending)) return graph.search(vector, ef, signal);
    if (partition.liveCount <= LENIENCE * maxPending) return this.#all(partition);
    throw new GraphLostError('a partition has no graph');
  }

  /** Resolves when all graphs have every change until now, or ended. */
  async caughtUp(): Promise<void> {
    await Promise.all(Array.from(this.#graphs.values(), (graph) => graph.caughtUp()));
  }

  /** Ends all threads after their tasks in hand, and releases the memory. */
  async stop(): Promise<void> {
    this.#endChanges();
    const graphs = [...this.#graphs.values(), ...this.#dropped];
    this.#graphs.clear();
    this.#dropped.clear();
    await Promise.all(graphs.map((graph) => graph.stop()));
  }

  /** @param share - of the references that are required otherwise */
  #isWanted({ name, key, liveCount }: Partition, share: number): boolean {
    const count = liveCount / share;
    if (vectorDimension(name) > MAX_GRAPH_DIMENSION || count <= this.#settings.maxPending) return false;
    return this.#saved.has(key) || this.#settings.choice(name, count);
  }

  #begin(partition: Partition): void {
    const { key } = partition;
    try {
      const fail = (error: unknown) => {
        if (this.#graphs.get(key) === graph) this.#fail(key, error);
      };
      const saved = this.#saved.get(key);
      const graph = new PartitionGraph(this.gallery, partition, this.#settings, fail, saved);
      this.#graphs.set(key, graph);
      if (saved !== undefined) this.#saved.set(key, undefined);
    } catch (error) {
      // The system has no more threads.
      this.#fail(key, error);
    }
  }

  #fail(key: string, error: unknown): void {
    const { onError, pauseMs } = this.#settings;
    this.#graphs.delete(key);
    this.#failed.set(key, { error: classOf(error), untilMs: performance.now() + pauseMs });
    onError(error);
  }

  /** Running searches keep the graph. It follows changes no more: these searches find no expunged subject anyway. */
  #drop(graph: PartitionGraph): void {
    this.#graphs.delete(graph.partition.key);
    this.#dropped.add(graph);
    void this.gallery.presentSearchesEnded().then(() => {
      if (this.#dropped.delete(graph)) void graph.stop();
    });
  }

  /** Every reference of a small partition, including replaced ones that running searches still read. */
  #all(partition: Partition): GraphEntry[] {
    const entries: GraphEntry[] = [];
    for (const { segment, end } of partition.ranges()) {
      for (let index = 0; index < end; index++) {
        if (segment.addressOf(index) === 0) continue;
        const subject = this.gallery.subjectWithOrdinal(segment.ownerOf(index));
        const earlier = subject?.earlier.flatMap(({ references }) => references) ?? [];
        for (const location of [...(subject?.references ?? []), ...earlier])
          if (subject !== undefined && isSamePartition(location.partition, partition.name))
            entries.push({ subject, location });
      }
    }
    return entries;
  }

  #graphOf({ partition }: ReferenceLocation): PartitionGraph | undefined {
    return this.#graphs.size === 0 ? undefined : this.#graphs.get(partitionKey(partition));
  }
}

/** The class only: a message might quote data. */
function classOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
