/**
 * Graphs of an index: one file for a partition, of encrypted blocks like the others. The first block says what the
 * graph's vectors are made with; the others are the file of the graph's library, which is in memory only. Label i of a
 * graph is the partition's reference i, in the order of the index.
 *
 * Graphs are optional: nothing else in an index depends on them.
 */
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { partitionOfKey, type PartitionName, type ReferenceLocation } from '../gallery/catalogue.ts';
import { damaged, readBlocks, writeBlocks, type FileFacts, type IndexSeal } from '../files/block-file.ts';
import { piecesOfFile } from '../files/memory-file.ts';

/** The graph of a loaded partition. */
export interface IndexedGraph {
  readonly partition: PartitionName;
  /** By label. Changes since may have removed some. */
  readonly locations: readonly ReferenceLocation[];
  /** Room that its content takes, at most. */
  readonly bytes: number;
  /**
   * Decrypts the graph.
   * @param content - empty, in memory; gets the library's file
   * @returns what its vectors are made with
   * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING
   */
  read(content: FileHandle): Promise<Uint8Array>;
}

export function graphFile(key: string): string {
  return `${key.replaceAll(':', '-')}.graph.rws`;
}

/** The graph of a partition in an index. */
export function indexedGraph(
  directory: string,
  key: string,
  { name, bytes }: FileFacts,
  seal: IndexSeal,
  locations: readonly ReferenceLocation[],
): IndexedGraph {
  const read = (content: FileHandle) => readGraph(join(directory, name), name, seal, content);
  return { partition: partitionOfKey(key), locations, bytes, read };
}

/**
 * @param start - what the graph's vectors are made with
 * @param content - the library's file
 */
export function writeGraph(
  directory: string,
  key: string,
  seal: IndexSeal,
  start: Uint8Array,
  content: FileHandle,
): Promise<FileFacts> {
  const name = graphFile(key);
  const blocks = async function* () {
    yield start;
    yield* piecesOfFile(content);
  };
  return writeBlocks(join(directory, name), name, seal, blocks());
}

async function readGraph(path: string, name: string, seal: IndexSeal, content: FileHandle): Promise<Uint8Array> {
  let start: Uint8Array | undefined;
  for await (const block of readBlocks(path, name, seal)) {
    if (start === undefined) start = Uint8Array.from(block);
    else await content.appendFile(block);
  }
  if (start === undefined) throw damaged(name, 'it is empty');
  return start;
}
