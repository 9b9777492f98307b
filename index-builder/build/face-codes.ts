/** Codes of the faces of an index: the same as a service makes that serves the same subjects. */
import { join } from 'node:path';
import { partitionOfKey } from '../../src/gallery/catalogue.ts';
import type { GallerySizing } from '../../src/gallery/gallery.ts';
import { decodeReferences } from '../../src/gallery/reference-block.ts';
import { ReleasedMemory } from '../../src/gallery/released-memory.ts';
import { SegmentSupply } from '../../src/gallery/segment-supply.ts';
import type { Segment } from '../../src/gallery/segment.ts';
import {
  damaged,
  readBlocks,
  releaseBlock,
  writeBlocks,
  type FileFacts,
  type IndexSeal,
} from '../../src/files/block-file.ts';
import { codeFile, coderFile } from '../../src/index-files/code-files.ts';
import type { CodeFacts, PartitionFacts } from '../../src/index-files/manifest.ts';
import { FACE_CODE_BYTES, type FaceDirections } from '../../src/matching/kernels/face-codes.ts';
import { encodeDirections } from '../../src/matching/kernels/face-directions-file.ts';
import { areCoded, LEARNED_FACES, MIN_CODED_FACES } from '../../src/matching/search/face-learning.ts';
import { learnInThread } from '../../src/matching/search/learning-thread.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';

/** Faces per task, and codes per block. */
const FACES_PER_TASK = 1024;

/** What the codes of an index are made with. */
export interface FaceCodesOptions {
  readonly pool: WorkerPool;
  /** Segment room: the faces of one segment are in memory at a time. */
  readonly sizing: GallerySizing;
  /** Smallest number of faces of a model that is coded; undefined: as in a service. */
  readonly minFaces?: number;
}

/**
 * Codes the faces of a partition, reading its finished files twice: first for the directions, then for the codes.
 * @param directory - of the unfinished index
 * @returns undefined: the partition gets no codes
 * @throws Failure INDEX_DAMAGED when the files are not as they were written
 */
export async function codeFaces(
  { pool, sizing, minFaces = MIN_CODED_FACES }: FaceCodesOptions,
  directory: string,
  { key, references, files: segmentFiles }: PartitionFacts,
  seal: IndexSeal,
): Promise<CodeFacts | undefined> {
  const name = partitionOfKey(key);
  if (name.modality !== 'face' || !areCoded(name.dimension, references, minFaces)) return undefined;
  const faces = await firstFaces(directory, segmentFiles, seal, name.dimension);
  const directions = await learnInThread({ faces, dimension: name.dimension }, new AbortController().signal);
  // Faces without variance have no directions.
  if (directions.unit === 0) return undefined;
  const coder = coderFile(key);
  const coderFacts = await writeBlocks(join(directory, coder), coder, seal, [encodeDirections(directions)]);
  const supply = new SegmentSupply(sizing.face(name.modelId), new ReleasedMemory());
  const files: FileFacts[] = [];
  try {
    for (const [number, { name: file, bytes }] of segmentFiles.entries()) {
      const segment = supply.take(bytes);
      await fill(segment, join(directory, file), file, seal);
      const coded = codeFile(key, number);
      files.push(await writeBlocks(join(directory, coded), coded, seal, codesOf(segment, directions, pool)));
      // The memory is used again for the next file.
      Array.from(segment.wipe());
      supply.giveBack(segment);
    }
  } finally {
    supply.releaseUnused(Infinity);
  }
  const [first, ...others] = files;
  return {
    coderFile: coderFacts,
    coderHash: directions.hash,
    codeBytes: FACE_CODE_BYTES,
    files: [first, ...others],
  };
}

/** An index holds the faces in order of the subjects' ids. */
async function firstFaces(
  directory: string,
  files: readonly FileFacts[],
  seal: IndexSeal,
  dimension: number,
): Promise<Int8Array> {
  const faces = new Uint8Array(LEARNED_FACES * dimension);
  let end = 0;
  for (const { name } of files) {
    for await (const block of readBlocks(join(directory, name), name, seal)) {
      const { lengths, records } = decodeReferences(block, 0, name);
      if (lengths.some((length) => length !== dimension)) throw damaged(name, 'a face has another length');
      const taken = records.subarray(0, faces.length - end);
      faces.set(taken, end);
      end += taken.length;
      if (end === faces.length) return new Int8Array(faces.buffer);
    }
  }
  return new Int8Array(faces.buffer, 0, end);
}

async function fill(segment: Segment, path: string, name: string, seal: IndexSeal): Promise<void> {
  for await (const block of readBlocks(path, name, seal)) {
    segment.appendBlock(decodeReferences(block, 0, name));
    releaseBlock(block);
  }
}

/** All threads encode; the codes come in order. */
async function* codesOf(
  { handle, count }: Segment,
  directions: FaceDirections,
  pool: WorkerPool,
): AsyncGenerator<Uint8Array> {
  const pieces = Array.from({ length: Math.ceil(count / FACES_PER_TASK) }, (_, i) => {
    const [from, to] = [i * FACES_PER_TASK, Math.min(count, (i + 1) * FACES_PER_TASK)];
    return pool.encodeFaces({ kind: 'encode-faces', directions, segment: handle.id, from, to }, handle);
  });
  for (const { codes } of await Promise.all(pieces)) yield codes;
}
