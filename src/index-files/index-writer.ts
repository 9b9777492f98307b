import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DamagedReference } from '../store/records.ts';
import { partitionKey, type PartitionName } from '../gallery/catalogue.ts';
import type { SearchableReference } from '../gallery/gallery.ts';
import { BlockFileWriter, type BlockSealer, type FileFacts, type IndexSeal } from '../files/block-file.ts';
import {
  INDEX_FORMAT,
  sealOf,
  SUBJECTS_FILE,
  writeManifest,
  type IndexOrigin,
  type Manifest,
  type PartitionFacts,
} from './manifest.ts';
import { encodeReferences, type OwnedReference } from '../gallery/reference-block.ts';
import { encodeSubject, type IndexedSubject } from '../gallery/subject-lines.ts';

const SUBJECTS_SHARE = 4;
/** Describes an unfinished index, so that its blocks can be reused. */
export const DRAFT_FILE = 'draft.json';

export interface IndexShape {
  /** References per segment. */
  readonly capacity: number;
  /** References per block. Subjects: a quarter of that, since they take longer to enter. */
  readonly blockSize: number;
  /** Bytes of the candidate vector and of its codes, which follow each packed reference. */
  vectorBytesOf(name: PartitionName): number;
}

/**
 * Completes a partition by files that are made from those of its references.
 * @returns its facts with those of the new files
 */
export type CompletePartition = (partition: PartitionFacts, seal: IndexSeal) => Promise<PartitionFacts>;

/**
 * Writes an index, subject by subject in order of their ids. It keeps at most a block of each partition in memory.
 * Equal subjects make equal bytes.
 */
export class IndexWriter {
  readonly #directory: string;
  readonly #origin: IndexOrigin;
  readonly #shape: IndexShape;
  readonly #seal: IndexSeal;
  readonly #subjects: BlockFileWriter;
  readonly #subjectsPerBlock: number;
  readonly #partitions = new Map<string, PartitionWriter>();
  #lines: string[] = [];
  #count = 0;
  #lastId = '';

  private constructor(
    directory: string,
    origin: IndexOrigin,
    shape: IndexShape,
    seal: IndexSeal,
    subjects: BlockFileWriter,
  ) {
    this.#directory = directory;
    this.#origin = origin;
    this.#shape = shape;
    this.#seal = seal;
    this.#subjects = subjects;
    this.#subjectsPerBlock = Math.ceil(shape.blockSize / SUBJECTS_SHARE);
  }

  /** @param directory - an empty one */
  static async create(
    directory: string,
    origin: IndexOrigin,
    shape: IndexShape,
    sealer: BlockSealer,
  ): Promise<IndexWriter> {
    await writeFile(join(directory, DRAFT_FILE), JSON.stringify({ ...origin, keyId: sealer.keyId }), { mode: 0o600 });
    const seal = sealOf(origin, sealer);
    return new IndexWriter(
      directory,
      origin,
      shape,
      seal,
      await BlockFileWriter.create(join(directory, SUBJECTS_FILE), SUBJECTS_FILE, seal),
    );
  }

  /** @throws RangeError when the subject's id is not greater than the last one */
  async add(
    subjectId: string,
    attributes: IndexedSubject['attributes'],
    references: readonly SearchableReference[],
  ): Promise<void> {
    if (subjectId <= this.#lastId) throw new RangeError('subjects come in order of their ids');
    this.#lastId = subjectId;
    const keys: [string, string][] = [];
    for (const { referenceId, partition, packed } of references) {
      if (packed === undefined) throw new Error('a reference that is to be indexed came without its template');
      const key = partitionKey(partition);
      keys.push([referenceId, key]);
      await this.#partition(key, partition).add({ packed, owner: this.#count });
    }
    this.#lines.push(encodeSubject({ subjectId, attributes, references: keys }));
    this.#count++;
    if (this.#lines.length === this.#subjectsPerBlock) await this.#writeSubjects();
  }

  /**
   * Finishes every file, and then writes the manifest.
   * @param damaged - stored references missing from the index
   * @param complete - called when the references of all partitions are on disk
   */
  async finish(damaged: readonly DamagedReference[] = [], complete?: CompletePartition): Promise<Manifest> {
    await this.#writeSubjects();
    const subjectsFile = await this.#subjects.finish();
    const finished: PartitionFacts[] = [];
    for (const [, writer] of [...this.#partitions].sort(([a], [b]) => (a < b ? -1 : 1)))
      finished.push(await writer.finish());
    const partitions: PartitionFacts[] = [];
    for (const partition of finished) partitions.push((await complete?.(partition, this.#seal)) ?? partition);
    const content = {
      format: INDEX_FORMAT,
      keyId: this.#seal.sealer.keyId,
      ...this.#origin,
      subjects: this.#count,
      subjectsFile,
      partitions,
      ...(damaged.length > 0 && { damaged: [...damaged] }),
    };
    return writeManifest(this.#directory, content, this.#seal.sealer);
  }

  /** Leaves the written files for another build to reuse. */
  async abandon(): Promise<void> {
    await this.#subjects.abandon();
    for (const writer of this.#partitions.values()) await writer.abandon();
  }

  #partition(key: string, name: PartitionName): PartitionWriter {
    const known = this.#partitions.get(key);
    if (known !== undefined) return known;
    const writer = new PartitionWriter(this.#directory, name, this.#shape, this.#seal);
    this.#partitions.set(key, writer);
    return writer;
  }

  async #writeSubjects(): Promise<void> {
    if (this.#lines.length === 0) return;
    await this.#subjects.append(Buffer.from(this.#lines.join('')));
    this.#lines = [];
  }
}

/** Writes the references of a partition: one file per segment. */
class PartitionWriter {
  readonly #directory: string;
  readonly #name: PartitionName;
  readonly #seal: IndexSeal;
  readonly #capacity: number;
  readonly #blockSize: number;
  readonly #vectorBytes: number;
  readonly #files: FileFacts[] = [];
  #pending: OwnedReference[] = [];
  #file: BlockFileWriter | undefined;
  #inFile = 0;
  #references = 0;

  constructor(directory: string, name: PartitionName, shape: IndexShape, seal: IndexSeal) {
    this.#directory = directory;
    this.#name = name;
    this.#seal = seal;
    this.#capacity = shape.capacity;
    this.#blockSize = shape.blockSize;
    this.#vectorBytes = shape.vectorBytesOf(name);
  }

  async add(reference: OwnedReference): Promise<void> {
    this.#pending.push(reference);
    this.#references++;
    const isFull = this.#inFile + this.#pending.length === this.#capacity;
    if (isFull || this.#pending.length === this.#blockSize) await this.#write();
    if (isFull) await this.#endFile();
  }

  async finish(): Promise<PartitionFacts> {
    await this.#write();
    await this.#endFile();
    const [first, ...others] = this.#files;
    return {
      key: partitionKey(this.#name),
      vectorBytes: this.#vectorBytes,
      references: this.#references,
      files: [first, ...others],
    };
  }

  async abandon(): Promise<void> {
    await this.#file?.abandon();
  }

  async #write(): Promise<void> {
    if (this.#pending.length === 0) return;
    const fileName = segmentFile(partitionKey(this.#name), this.#files.length);
    this.#file ??= await BlockFileWriter.create(join(this.#directory, fileName), fileName, this.#seal);
    const references = this.#pending;
    this.#pending = [];
    this.#inFile += references.length;
    await this.#file.append(encodeReferences(references, this.#vectorBytes));
  }

  async #endFile(): Promise<void> {
    if (this.#file === undefined) return;
    this.#files.push(await this.#file.finish());
    this.#file = undefined;
    this.#inFile = 0;
  }
}

/** @param number - of the segment within its partition, from 0 */
export function segmentFile(key: string, number: number): string {
  return `${key.replaceAll(':', '-')}.${String(number).padStart(4, '0')}.rws`;
}
