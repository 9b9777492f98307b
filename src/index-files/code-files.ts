/**
 * Codes of faces in an index. Unlike those of fingers, they depend on the gallery: what they are made with is learned
 * from its first faces. So they lie in files of their own: the codes of each segment file's references, in order, in
 * blocks of any size, and one file of one block with what they are made with. A reference stays the same in every index.
 */
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { damaged, readBlocks, releaseBlock, type IndexSeal } from '../files/block-file.ts';
import type { Partition } from '../gallery/partition.ts';
import type { IdentifiedCoder, Segment } from '../gallery/segment.ts';
import type { CodeFacts } from './manifest.ts';

/**
 * Makes the coder of a partition.
 * @param bytes - of the coder's file
 * @param key - of the partition
 * @throws RangeError when the bytes have another form, or are of another kind of references
 */
export type MakeCoder = (bytes: Uint8Array, key: string) => IdentifiedCoder;

/** @param number - of the segment within its partition, from 0 */
export function codeFile(key: string, number: number): string {
  return `${key.replaceAll(':', '-')}.${String(number).padStart(4, '0')}.codes.rws`;
}

export function coderFile(key: string): string {
  return `${key.replaceAll(':', '-')}.coder.rws`;
}

/**
 * Reads what the codes of a partition are made with.
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING
 */
export async function readCoder(
  directory: string,
  key: string,
  { coderFile: { name }, coderHash }: CodeFacts,
  seal: IndexSeal,
  makeCoder: MakeCoder,
): Promise<IdentifiedCoder> {
  const blocks: Uint8Array[] = [];
  for await (const block of readBlocks(join(directory, name), name, seal)) blocks.push(Uint8Array.from(block));
  try {
    const coder = makeCoder(Buffer.concat(blocks), key);
    if (coder.hash === coderHash) return coder;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  throw damaged(name, 'the codes were made with something else');
}

/**
 * Writes the codes of a loaded partition, which from then on is coded, and codes what is appended later.
 * @param segments - all of the partition, in the order of the index's files; no search reads them yet
 * @param rest - called between blocks
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING, INDEX_OUTDATED
 */
export async function loadCodes(
  directory: string,
  partition: Partition,
  segments: readonly Segment[],
  codes: CodeFacts,
  seal: IndexSeal,
  makeCoder: MakeCoder,
  rest: () => Promise<void>,
): Promise<void> {
  const coder = await readCoder(directory, partition.key, codes, seal, makeCoder);
  if (partition.beginCoding(coder) === undefined) throw new Error('a partition is being compacted while it is loaded');
  for (const [number, segment] of segments.entries()) {
    requireCodeBytes(segment, codes, partition.key);
    const name = codeFile(partition.key, number);
    let from = 0;
    for await (const block of readBlocks(join(directory, name), name, seal)) {
      const count = block.length / codes.codeBytes;
      if (!Number.isInteger(count) || from + count > segment.count) throw notOfAll(name);
      segment.writeCodes(from, block);
      from += count;
      releaseBlock(block);
      await rest();
    }
    if (from !== segment.count) throw notOfAll(name);
  }
  partition.endCoding();
}

function notOfAll(name: string): Failure {
  return damaged(name, 'it does not hold the codes of all references');
}

function requireCodeBytes(segment: Segment, { codeBytes }: CodeFacts, key: string): void {
  if (segment.codeBytes === codeBytes) return;
  const sentence = `The index has ${codeBytes} bytes of codes for each reference of ${key}, and this program ${segment.codeBytes}. Build the index again: ridgewatch index build.`;
  throw new Failure('failed-precondition', 'INDEX_OUTDATED', sentence);
}
