import { join } from 'node:path';
import { partitionOfKey } from '../../src/gallery/catalogue.ts';
import { decodeReferences, type ReferenceBlock } from '../../src/gallery/reference-block.ts';
import { damaged, readBlocks, type IndexSeal } from '../../src/files/block-file.ts';
import type { PartitionFacts } from '../../src/index-files/manifest.ts';
import { vectorDimension } from '../../src/matching/graph/reference-vectors.ts';

/**
 * The candidate vectors or embeddings of a partition, in the order of the index.
 * @param directory - of the index; the partition's files are finished
 * @returns pieces of i8 [count × components], valid until the next one
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING
 */
export async function* vectorsOf(
  directory: string,
  { key, vectorBytes, files }: PartitionFacts,
  seal: IndexSeal,
): AsyncGenerator<Int8Array> {
  const name = partitionOfKey(key);
  const dimension = vectorDimension(name);
  for (const { name: file } of files) {
    for await (const block of readBlocks(join(directory, file), file, seal)) {
      const references = decodeReferences(block, vectorBytes, file);
      if (name.modality === 'face' && references.lengths.some((length) => length !== dimension))
        throw damaged(file, 'a face has another length');
      yield name.modality === 'face' ? signed(references.records) : vectorsIn(references, vectorBytes, dimension);
    }
  }
}

/** Without the codes that follow each vector. */
function vectorsIn({ lengths, vectors }: ReferenceBlock, vectorBytes: number, dimension: number): Int8Array {
  const rows = new Int8Array(lengths.length * dimension);
  for (let i = 0; i < lengths.length; i++)
    rows.set(signed(vectors.subarray(i * vectorBytes, i * vectorBytes + dimension)), i * dimension);
  return rows;
}

function signed({ buffer, byteOffset, length }: Uint8Array): Int8Array {
  return new Int8Array(buffer, byteOffset, length);
}
