/** References prepared by an import, kept for the next build. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as newId } from 'uuid';
import type { BlockSealer } from '../files/block-file.ts';
import { IndexWriter, type IndexShape } from './index-writer.ts';
import type { IndexModels } from './manifest.ts';
import { attributesOf, searchable } from '../gallery/stored-records.ts';
import { lockDirectory, tryLockDirectory, type DirectoryLock } from '../store/directory-lock.ts';
import type { SubjectWithReferences } from '../store/records.ts';

const NAME = /^prepared-[0-9a-f-]{36}$/;

/**
 * Writes prepared references beside the indexes, in the form of an unfinished index. Only a build reads it. Losing it
 * costs time only.
 */
export class PreparedReferences {
  readonly #directory: string;
  readonly #writer: IndexWriter;
  readonly #lock: DirectoryLock;
  #isEmpty = true;

  private constructor(directory: string, writer: IndexWriter, lock: DirectoryLock) {
    this.#directory = directory;
    this.#writer = writer;
    this.#lock = lock;
  }

  static async begin(
    indexDir: string,
    shape: IndexShape,
    models: IndexModels,
    sealer: BlockSealer,
  ): Promise<PreparedReferences> {
    const id = newId();
    const directory = join(indexDir, `prepared-${id}`);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const lock = lockDirectory(directory);
    // A random id instead of a state of the store: the blocks open in no other index.
    const writer = await IndexWriter.create(directory, { sequence: 0, state: id, models }, shape, sealer);
    return new PreparedReferences(directory, writer, lock);
  }

  /** @param subjects - in order of their ids, following those added before */
  async add(subjects: readonly SubjectWithReferences[], packed: ReadonlyMap<string, Uint8Array>): Promise<void> {
    for (const one of subjects) {
      this.#isEmpty = false;
      await this.#writer.add(one.subject.subjectId, attributesOf(one), searchable(one, packed));
    }
  }

  /** Keeps the references added. */
  async close(): Promise<void> {
    try {
      await this.#writer.finish();
      if (this.#isEmpty) await rm(this.#directory, { recursive: true });
    } finally {
      this.#lock.release();
    }
  }
}

/** Directories of prepared references, the oldest first. */
export async function preparedDirectories(indexDir: string): Promise<string[]> {
  if (!existsSync(indexDir)) return [];
  const names = await readdir(indexDir);
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(indexDir, name));
}

/** Removes prepared references no longer needed, except those that an import is still writing. */
export async function removePrepared(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    const lock = tryLockDirectory(directory);
    if (lock !== undefined) await rm(directory, { recursive: true, force: true }).finally(() => lock.release());
  }
}
