import type { FileHandle } from 'node:fs/promises';
import type { ReferenceLocation } from '../../gallery/catalogue.ts';
import type { PrincipalDirections } from '../kernels/principal-directions.ts';

/** A graph that `VectorGraph.save` wrote. */
export interface SavedGraph {
  /** The references by label: 0, 1, … Vectors of those that are gone are removed. */
  readonly locations: readonly ReferenceLocation[];
  /** Called when the graph is needed, at most once. */
  open(): Promise<OpenedGraph>;
}

export interface OpenedGraph {
  /** In memory, see openMemoryFile. It is closed when the graph has been read. */
  readonly file: FileHandle;
  /** Those of the graph. */
  readonly directions: PrincipalDirections;
}

/** hnswlib's header: eleven numbers of eight bytes, and two of four bytes. */
const HEADER_BYTES = 96;
const COUNT_OFFSET = 16;
const PLACE_BYTES_OFFSET = 24;
const READ_BYTES = 1 << 20;

/**
 * Whether a file has a whole graph, by hnswlib's layout: a header, the places, and for each place the number of bytes
 * of its upper links and these. hnswlib does not notice when a file system is full.
 */
export async function isCompleteGraph(file: FileHandle): Promise<boolean> {
  const { size } = await file.stat();
  if (size < HEADER_BYTES) return false;
  const header = Buffer.alloc(HEADER_BYTES);
  await file.read(header, 0, HEADER_BYTES, 0);
  const count = Number(header.readBigUInt64LE(COUNT_OFFSET));
  let at = HEADER_BYTES + count * Number(header.readBigUInt64LE(PLACE_BYTES_OFFSET));
  const part = Buffer.alloc(READ_BYTES);
  let [start, end] = [0, 0];
  for (let place = 0; place < count; place++) {
    if (at + 4 > size) return false;
    if (at + 4 > end) {
      const { bytesRead } = await file.read(part, 0, READ_BYTES, at);
      [start, end] = [at, at + bytesRead];
    }
    at += 4 + part.readUInt32LE(at - start);
  }
  return at === size;
}
