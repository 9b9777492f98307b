import { setImmediate } from 'node:timers/promises';
import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { pathOfFile } from '../../files/memory-file.ts';
import type { Partition } from '../../gallery/partition.ts';
import { inSlices, SLICE_MS } from '../../gallery/slices.ts';
import type { PrincipalDirections } from '../kernels/principal-directions.ts';
import type { GraphCosts } from './graph-costs.ts';
import { GraphReferences, type GraphEntry } from './graph-references.ts';
import { GraphThread } from './graph-thread.ts';
import type { LoadTurns } from './load-turns.ts';
import { directionsOf, LEARNED_FROM, vectorDimension } from './reference-vectors.ts';
import { isCompleteGraph, type SavedGraph } from './saved-graph.ts';
import { graphBytes } from './vector-graph.ts';

/** A graph whose directions were learned from fewer is built anew when it has grown by this factor. */
const MAX_GROWTH = 4;
/** References per message: some milliseconds of the graph's thread, so that a search waits no longer. */
const CHANGES_PER_TASK = 8;

export interface GraphFigures {
  /** Key of the partition. */
  readonly partition: string;
  /** References in the graph. */
  readonly references: number;
  /** References of the partition that are not in the graph yet. */
  readonly pending: number;
  /** Vectors of expunged and replaced references that are still to be overwritten. */
  readonly removals: number;
  /** Estimated memory of the graph. */
  readonly bytes: number;
  /** `ready`: few references are pending, so searches can use it. */
  readonly state: 'building' | 'ready' | 'failed';
  /** Name of the class of the last failure. */
  readonly error?: string | undefined;
}

/** What graphs share. */
export interface GraphSharing {
  /** Measured costs. */
  readonly costs: GraphCosts;
  readonly loads: LoadTurns;
  /** Maximum number of pending references that searches take along without a graph. */
  readonly maxPending: number;
}

/** The graph of a partition: built in the background, kept up with changes until it is stopped or fails. */
export class PartitionGraph {
  readonly partition: Partition;
  readonly references: GraphReferences;
  readonly #sharing: GraphSharing;
  readonly #thread: GraphThread;
  #learnedFrom = 0;
  #places = 0;
  #isStopped = false;
  #wake: () => void = () => undefined;
  #waiting: (() => void)[] = [];
  #isIdle = false;

  /**
   * @param onFailure - called once; the graph must be dropped then
   * @param saved - to begin with; undefined: an empty graph
   */
  constructor(
    gallery: Gallery,
    partition: Partition,
    sharing: GraphSharing,
    onFailure: (error: unknown) => void,
    saved?: SavedGraph,
  ) {
    this.partition = partition;
    this.references = new GraphReferences(gallery, partition.name, vectorDimension(partition.name));
    this.#sharing = sharing;
    const fail = (error: unknown) => {
      if (this.#isStopped) return;
      void this.stop();
      onFailure(error);
    };
    this.#thread = new GraphThread(fail);
    const begun = saved === undefined ? this.#begin() : this.#load(saved);
    begun.then((directions) => this.#keepUp(directions)).catch(fail);
  }

  /** Whether a search considers every reference: in the graph, or among few others. */
  get isReady(): boolean {
    return this.isComplete(this.#sharing.maxPending);
  }

  /** Whether all references are in the graph, except for up to `most` that are pending. */
  isComplete(most: number): boolean {
    return this.#learnedFrom > 0 && this.references.isRead && this.references.pendingCount <= most;
  }

  /** Whether a new graph would be better: most vectors were removed, or the directions are of far fewer references. */
  get isOutgrown(): boolean {
    // A saved graph has all its places before its references are taken over.
    if (this.#learnedFrom === 0) return false;
    const { count } = this.references;
    if (this.#places - count > Math.max(this.#sharing.maxPending, count)) return true;
    return this.#learnedFrom < LEARNED_FROM && count >= MAX_GROWTH * this.#learnedFrom;
  }

  get figures(): GraphFigures {
    const { name, key, liveCount } = this.partition;
    const { count, pendingCount, removalCount } = this.references;
    return {
      partition: key,
      references: count,
      pending: Math.max(pendingCount, liveCount - count),
      removals: removalCount,
      bytes: graphBytes(this.#places, directionsOf(name)),
      state: this.isReady ? 'ready' : 'building',
    };
  }

  /** A reference became searchable. */
  enter(subject: SubjectEntry, location: ReferenceLocation): void {
    this.references.enter(subject, location);
    this.#changed();
  }

  /** A reference must not be found any more. */
  leave(location: ReferenceLocation): void {
    this.references.leave(location);
    this.#changed();
  }

  /** Expected thread time of a search, in ms. */
  expectedMs(ef: number): number {
    return this.#sharing.costs.milliseconds(this.partition.name, ef, this.#places);
  }

  /**
   * The pending references, and those in the graph that are similar.
   * @throws GraphLostError; the signal's reason
   */
  async search(vector: Int8Array, ef: number, signal: AbortSignal): Promise<GraphEntry[]> {
    // Before the graph is asked: a reference that enters it meanwhile is in one or the other.
    const pending = this.references.pending();
    const { labels, places, busyMs } = await this.#thread.search({ kind: 'search', vector, ef }, signal);
    this.#sharing.costs.note(this.partition.name, ef, places, busyMs);
    return [...pending, ...this.references.withLabels(labels)];
  }

  /** Resolves when every change until now is in the graph, or it ends. */
  caughtUp(): Promise<void> {
    if (this.#isIdle || this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Ends after the task in hand, and releases the memory. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    this.#tellWaiting();
    await this.#thread.stop();
  }

  #changed(): void {
    this.#isIdle = false;
    this.#wake();
  }

  /** @param directions - undefined: stopped meanwhile */
  async #keepUp(directions: PrincipalDirections | undefined): Promise<void> {
    this.#learnedFrom = directions?.learnedFrom ?? 0;
    while (!this.#isStopped) if (!(await this.#changeSome())) await this.#sleep();
  }

  /** @returns undefined: stopped meanwhile */
  async #load(saved: SavedGraph): Promise<PrincipalDirections | undefined> {
    const { locations } = saved;
    const isStopped = () => this.#isStopped;
    const directions = await this.#sharing.loads.take(async () => (isStopped() ? undefined : this.#read(saved)));
    if (directions === undefined) return undefined;
    const isAdopted = await inSlices(this.references.adopt(locations), SLICE_MS, isStopped);
    return isAdopted ? directions : undefined;
  }

  async #read(saved: SavedGraph): Promise<PrincipalDirections> {
    const { file, directions } = await saved.open();
    try {
      if (!(await isCompleteGraph(file))) throw new Error('a saved graph is damaged');
      const { places } = await this.#thread.change({ kind: 'load', path: pathOfFile(file), directions });
      if (places !== saved.locations.length) throw new Error('a saved graph has other references');
      this.#places = places;
      return directions;
    } finally {
      await file.close();
    }
  }

  /** @returns undefined: stopped meanwhile */
  async #begin(): Promise<PrincipalDirections | undefined> {
    const { name } = this.partition;
    const [dimension, size] = [vectorDimension(name), directionsOf(name)];
    let rows: Int8Array = new Int8Array();
    const references = this.references;
    const reading = (function* () {
      rows = yield* references.firstVectors(LEARNED_FROM);
    })();
    if (!(await inSlices(reading, SLICE_MS, () => this.#isStopped))) return undefined;
    // All were removed since. Directions of nothing are as good as others, until the graph is dropped.
    if (rows.length === 0) rows = new Int8Array(dimension);
    const { directions } = await this.#thread.change({ kind: 'learn', rows, dimension, size });
    if (directions === undefined) throw new Error('no directions were learned');
    await this.#thread.change({ kind: 'begin', directions });
    return directions;
  }

  /** Removals come first: they end the time for which a biometric is kept. @returns false: nothing is left to do */
  async #changeSome(): Promise<boolean> {
    const { references } = this;
    const removals = references.nextRemovals(CHANGES_PER_TASK);
    if (removals.length > 0) {
      const { done, places } = await this.#thread.change({ kind: 'remove', labels: removals });
      references.removed(done);
      this.#places = places;
      return true;
    }
    if (references.pendingCount < CHANGES_PER_TASK && !references.isRead) {
      references.read();
      // In partitions with few references many subjects are read for one.
      await setImmediate();
      return true;
    }
    const batch = references.nextBatch(CHANGES_PER_TASK);
    if (batch === undefined) return false;
    const { vectors, labels } = batch;
    const { done, places } = await this.#thread.change({ kind: 'add', vectors, labels });
    references.added(batch, done);
    this.#places = places;
    return true;
  }

  /** Until something has changed. */
  async #sleep(): Promise<void> {
    const { removalCount, pendingCount } = this.references;
    if (removalCount > 0 || pendingCount > 0 || this.#isStopped) return;
    this.#isIdle = true;
    this.#tellWaiting();
    await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #tellWaiting(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
