/** Fills an empty gallery from an index. */
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { partitionOfKey, type PartitionName, type ReferenceLocation } from '../gallery/catalogue.ts';
import type { Gallery } from '../gallery/gallery.ts';
import type { Segment } from '../gallery/segment.ts';
import { damaged, readBlocks, releaseBlock, type IndexSeal } from '../files/block-file.ts';
import { Failure } from '../failure.ts';
import { loadCodes, type MakeCoder } from './code-files.ts';
import { indexedGraph, type IndexedGraph } from './graph-files.ts';
import { SUBJECTS_FILE, type Manifest, type PartitionFacts } from './manifest.ts';
import { decodeReferences } from '../gallery/reference-block.ts';
import { SubjectLines } from '../gallery/subject-lines.ts';

export interface LoadSettings {
  /** Called with the number of references in memory, and then the number of subjects that can be found. */
  readonly onProgress: (references: number, subjects: number) => void;
  /** Share of this thread's time that loading may take, above 0; 1: all of it, if no calls are served meanwhile. */
  readonly share: number;
}

export interface LoadOptions extends LoadSettings {
  readonly makeCoder: MakeCoder;
}

/**
 * Copies the segments of an index to memory, block by block, and enters its subjects. Other work runs between blocks.
 * @param gallery - empty; unusable after a failure
 * @returns the graphs of the index, which have not been read
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING, INDEX_OUTDATED; RangeError when there is no memory
 */
export async function loadIndex(
  directory: string,
  manifest: Manifest,
  seal: IndexSeal,
  gallery: Gallery,
  { onProgress, share, makeCoder }: LoadOptions,
): Promise<IndexedGraph[]> {
  const pace = new Pace(share);
  const partitions = new Map<string, LoadedPartition>();
  let references = 0;
  for (const facts of manifest.partitions) {
    const name = partitionOfKey(facts.key);
    const loaded: Segment[] = [];
    for (const { name: file, bytes } of facts.files) {
      const segment = gallery.adoptSegment(name, bytes);
      requireForm(segment, facts);
      for await (const block of readBlocks(join(directory, file), file, seal)) {
        const decoded = decodeReferences(block, facts.vectorBytes, file);
        segment.appendBlock(decoded);
        references += decoded.lengths.length;
        releaseBlock(block);
        onProgress(references, 0);
        await pace.rest();
      }
      loaded.push(segment);
    }
    partitions.set(facts.key, new LoadedPartition(name, loaded, facts.graph !== undefined));
    const partition = gallery.partition(name);
    if (facts.codes !== undefined && partition !== undefined)
      await loadCodes(directory, partition, loaded, facts.codes, seal, makeCoder, () => pace.rest());
  }
  const lines = new SubjectLines();
  let subjects = 0;
  for await (const block of readBlocks(join(directory, SUBJECTS_FILE), SUBJECTS_FILE, seal)) {
    for (const { subjectId, attributes, references: own } of lines.decode(block)) {
      const locations = own.map(([referenceId, key]) => {
        const location = partitions.get(key)?.next(referenceId, subjects);
        if (location === undefined)
          throw damaged(SUBJECTS_FILE, `the references of subject number ${subjects} are missing`);
        return location;
      });
      gallery.enter(subjectId, attributes, locations);
      subjects++;
    }
    onProgress(references, subjects);
    await pace.rest();
  }
  const leftOver = [...partitions.values()].find((partition) => !partition.isExhausted);
  if (leftOver !== undefined || subjects !== manifest.subjects)
    throw damaged(SUBJECTS_FILE, 'it does not hold the owners of all references');
  gallery.startAt(manifest.sequence);
  return manifest.partitions.flatMap(({ key, graph }) => {
    const { locations = [] } = partitions.get(key) ?? {};
    return graph === undefined ? [] : [indexedGraph(directory, key, graph, seal, locations)];
  });
}

/**
 * The versions of the models do not say which bytes follow a record: taken for another number, vectors would be read as
 * records.
 * @throws Failure INDEX_OUTDATED
 */
function requireForm({ candidateBytes }: Segment, { key, vectorBytes }: PartitionFacts): void {
  if (candidateBytes === vectorBytes) return;
  const sentence = `The index has ${vectorBytes} bytes of candidate data for each reference of ${key}, and this program ${candidateBytes}. Build the index again: ridgewatch index build.`;
  throw new Failure('failed-precondition', 'INDEX_OUTDATED', sentence);
}

/** Yields the thread for a share of its time. */
class Pace {
  readonly #restPerWork: number;
  #workedFrom = performance.now();

  constructor(share: number) {
    this.#restPerWork = (1 - share) / share;
  }

  /** To be called often: rests in proportion to the work since the last rest. */
  async rest(): Promise<void> {
    const rest = (performance.now() - this.#workedFrom) * this.#restPerWork;
    if (rest > 0) await setTimeout(rest);
    this.#workedFrom = performance.now();
  }
}

/** Iterates over the references of a partition. */
class LoadedPartition {
  readonly #name: PartitionName;
  readonly #segments: readonly Segment[];
  readonly #keepsLocations: boolean;
  readonly locations: ReferenceLocation[] = [];
  #segment = 0;
  #index = 0;

  /** @param keepsLocations - those returned by `next`, for a graph */
  constructor(name: PartitionName, segments: readonly Segment[], keepsLocations: boolean) {
    this.#name = name;
    this.#segments = segments;
    this.#keepsLocations = keepsLocations;
  }

  get isExhausted(): boolean {
    return this.#current === undefined;
  }

  /** @returns undefined when the partition is exhausted, or the next reference belongs to another subject */
  next(referenceId: string, owner: number): ReferenceLocation | undefined {
    const segment = this.#current;
    if (segment?.ownerOf(this.#index) !== owner) return undefined;
    const location = { referenceId, partition: this.#name, segment, index: this.#index++ };
    if (this.#keepsLocations) this.locations.push(location);
    return location;
  }

  get #current(): Segment | undefined {
    if (this.#index === this.#segments.at(this.#segment)?.count) {
      this.#segment++;
      this.#index = 0;
    }
    return this.#segments.at(this.#segment);
  }
}
