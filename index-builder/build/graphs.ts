/** Graphs of an index, built from the finished files of its references. */
import { Failure } from '../../src/failure.ts';
import { partitionOfKey } from '../../src/gallery/catalogue.ts';
import type { FileHandle } from 'node:fs/promises';
import type { FileFacts, IndexSeal } from '../../src/files/block-file.ts';
import { openMemoryFile, pathOfFile } from '../../src/files/memory-file.ts';
import { writeGraph } from '../../src/index-files/graph-files.ts';
import type { PartitionFacts } from '../../src/index-files/manifest.ts';
import type { GraphResult } from '../../src/matching/graph/graph-messages.ts';
import { GraphThread } from '../../src/matching/graph/graph-thread.ts';
import {
  directionsOf,
  LEARNED_FROM,
  MAX_GRAPH_DIMENSION,
  vectorDimension,
} from '../../src/matching/graph/reference-vectors.ts';
import { encodePrincipalDirections } from '../../src/matching/graph/directions-file.ts';
import { isCompleteGraph } from '../../src/matching/graph/saved-graph.ts';
import type { PrincipalDirections } from '../../src/matching/kernels/principal-directions.ts';
import { graphBytes } from '../../src/matching/graph/vector-graph.ts';
import { vectorsOf } from './reference-vectors.ts';

/** Smallest number of references of a partition that gets a graph: fewer are scanned in less than a millisecond. */
const MIN_REFERENCES = 20_000;
/** References per message. The thread takes as many of them as it can add within some milliseconds. */
const REFERENCES_PER_TASK = 16;

export interface GraphsOptions {
  /** Called with the key of a partition, the number of references in its graph, from 0 to the last one, and that. */
  readonly onProgress: (key: string, done: number, total: number) => void;
  /** Smallest number of references of a partition that gets a graph. */
  readonly minReferences?: number;
  /** Where files in memory are made; undefined: where the system has them. */
  readonly memoryFolder?: string;
}

/** Whether a partition gets a graph. */
export function getsGraph(
  { key, references }: Pick<PartitionFacts, 'key' | 'references'>,
  { minReferences = MIN_REFERENCES }: Pick<GraphsOptions, 'minReferences'>,
): boolean {
  return references >= minReferences && vectorDimension(partitionOfKey(key)) <= MAX_GRAPH_DIMENSION;
}

/**
 * Builds the graph of a partition, in a thread, from references in the order of the index: the same files give the same
 * graph. Its file is in memory until it is encrypted.
 * @param directory - of the unfinished index
 * @throws Failure NO_MEMORY_FILE
 */
export async function buildGraph(
  directory: string,
  partition: PartitionFacts,
  seal: IndexSeal,
  { onProgress, memoryFolder }: GraphsOptions,
): Promise<FileFacts> {
  const { key, references } = partition;
  const content = await openMemoryFile(graphBytes(references, directionsOf(partitionOfKey(key))), memoryFolder);
  try {
    const directions = await fill(directory, partition, seal, content, onProgress);
    // The library does not notice when there is no more room.
    if (!(await isCompleteGraph(content)))
      throw new Failure('failed-precondition', 'NO_MEMORY_FILE', `There was not enough room for the graph of ${key}.`);
    return await writeGraph(directory, key, seal, encodePrincipalDirections(directions), content);
  } finally {
    await content.close();
  }
}

/** @returns what the vectors are made with */
async function fill(
  directory: string,
  partition: PartitionFacts,
  seal: IndexSeal,
  content: FileHandle,
  onProgress: GraphsOptions['onProgress'],
): Promise<PrincipalDirections> {
  const name = partitionOfKey(partition.key);
  const [dimension, size] = [vectorDimension(name), directionsOf(name)];
  const thread = new GraphThread(() => undefined);
  try {
    const rows = await firstVectors(directory, partition, seal);
    const { directions } = await thread.change({ kind: 'learn', rows, dimension, size });
    if (directions === undefined) throw new Error('the thread of a graph learned no directions');
    await thread.change({ kind: 'begin', directions });
    let label = 0;
    onProgress(partition.key, label, partition.references);
    for await (const piece of vectorsOf(directory, partition, seal)) {
      for (let at = 0; at < piece.length;) {
        const { done } = await add(thread, piece.slice(at, at + REFERENCES_PER_TASK * dimension), dimension, label);
        at += done * dimension;
        label += done;
        onProgress(partition.key, label, partition.references);
      }
    }
    await thread.change({ kind: 'save', path: pathOfFile(content) });
    return directions;
  } finally {
    await thread.stop();
  }
}

function add(thread: GraphThread, vectors: Int8Array, dimension: number, label: number): Promise<GraphResult> {
  const labels = Uint32Array.from({ length: vectors.length / dimension }, (_, i) => label + i);
  return thread.change({ kind: 'add', vectors, labels });
}

async function firstVectors(directory: string, partition: PartitionFacts, seal: IndexSeal): Promise<Int8Array> {
  const dimension = vectorDimension(partitionOfKey(partition.key));
  const rows = new Int8Array(Math.min(partition.references, LEARNED_FROM) * dimension);
  let end = 0;
  for await (const piece of vectorsOf(directory, partition, seal)) {
    const taken = piece.subarray(0, rows.length - end);
    rows.set(taken, end);
    end += taken.length;
    if (end === rows.length) break;
  }
  return rows;
}
