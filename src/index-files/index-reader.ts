/** Reads an index subject by subject, including an unfinished one. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { partitionOfKey, type PartitionName } from '../gallery/catalogue.ts';
import { damaged, readBlocks, type IndexSeal } from '../files/block-file.ts';
import { segmentFile } from './index-writer.ts';
import { SUBJECTS_FILE } from './manifest.ts';
import { decodeReferences, type OwnedReference, type ReferenceBlock } from '../gallery/reference-block.ts';
import { SubjectLines, type IndexedSubject } from '../gallery/subject-lines.ts';

/** A subject of an index, with its packed references in the order of `references`. */
export interface SubjectOfIndex extends IndexedSubject {
  readonly packed: readonly Uint8Array[];
}

/**
 * The subjects of an index, in order of their ids.
 * @param whole - false: the index may be incomplete, and is read as far as it goes
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING
 */
export async function* readIndex(
  directory: string,
  seal: IndexSeal,
  vectorBytesOf: (name: PartitionName) => number,
  whole = true,
): AsyncGenerator<SubjectOfIndex, void> {
  const lines = new SubjectLines();
  const partitions = new Map<string, AsyncGenerator<OwnedReference, void>>();
  let number = 0;
  try {
    for await (const block of readBlocks(join(directory, SUBJECTS_FILE), SUBJECTS_FILE, seal, whole)) {
      for (const subject of lines.decode(block)) {
        const packed: Uint8Array[] = [];
        for (const [, key] of subject.references) {
          const stream =
            partitions.get(key) ?? readReferences(directory, key, seal, vectorBytesOf(partitionOfKey(key)), whole);
          partitions.set(key, stream);
          const { value } = await stream.next();
          // A missing or exchanged block must never give a subject another subject's reference.
          if (value?.owner !== number) {
            if (whole) throw damaged(SUBJECTS_FILE, `the references of subject number ${number} are missing`);
            return;
          }
          packed.push(value.packed);
        }
        yield { ...subject, packed };
        number++;
      }
    }
  } finally {
    for (const stream of partitions.values()) await stream.return();
  }
}

/** The references of one partition, in order of their subjects. */
async function* readReferences(
  directory: string,
  key: string,
  seal: IndexSeal,
  vectorBytes: number,
  whole: boolean,
): AsyncGenerator<OwnedReference, void> {
  for (let number = 0; existsSync(join(directory, segmentFile(key, number))); number++) {
    const name = segmentFile(key, number);
    for await (const block of readBlocks(join(directory, name), name, seal, whole))
      yield* packedOf(decodeReferences(block, vectorBytes, name), vectorBytes);
  }
}

function* packedOf(
  { lengths, owners, vectors, records }: ReferenceBlock,
  vectorBytes: number,
): Generator<OwnedReference> {
  let record = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i];
    const packed = new Uint8Array(length + vectorBytes);
    packed.set(records.subarray(record, record + length));
    packed.set(vectors.subarray(i * vectorBytes, (i + 1) * vectorBytes), length);
    yield { packed, owner: owners[i] };
    record += length;
  }
}
