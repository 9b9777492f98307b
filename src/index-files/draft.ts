/** Indexes being built: their directories, and the remains of an interrupted build. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../files/durable-file.ts';
import type { BlockSealer, IndexSeal } from '../files/block-file.ts';
import { DRAFT_FILE } from './index-writer.ts';
import { indexName, isOfModels, originSchema, sealOf, type IndexModels, type Manifest } from './manifest.ts';

export const DRAFT = 'draft';
/** Directory of the remains of an interrupted build. */
export const INTERRUPTED = 'draft-interrupted';

/**
 * Makes an empty directory for a draft. The remains of an interrupted build are kept beside it. If there are two, the
 * more complete one is kept.
 */
export async function beginDraft(indexDir: string): Promise<string> {
  const [draft, interrupted] = [join(indexDir, DRAFT), join(indexDir, INTERRUPTED)];
  if ((await bytesIn(draft)) > (await bytesIn(interrupted))) {
    await rm(interrupted, { recursive: true, force: true });
    await rename(draft, interrupted);
  }
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  return draft;
}

/** The files of an unfinished index, and how they are sealed. @returns undefined: none is usable */
export async function readDraft(
  directory: string,
  models: IndexModels,
  sealerOf: (keyId: string) => BlockSealer,
): Promise<{ readonly directory: string; readonly seal: IndexSeal } | undefined> {
  const text = await readFile(join(directory, DRAFT_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const origin = originSchema.parse(JSON.parse(text));
    if (!isOfModels(origin, models)) return undefined;
    return { directory, seal: sealOf(origin, sealerOf(origin.keyId)) };
  } catch {
    // The description is incomplete, or its key was deleted: everything is prepared again.
    return undefined;
  }
}

/**
 * Gives a finished draft its name. An existing index of this name is identical byte for byte, and stays.
 * @returns the name
 */
export async function keepDraft(indexDir: string, manifest: Manifest): Promise<string> {
  const draft = join(indexDir, DRAFT);
  const name = indexName(manifest);
  await rm(join(draft, DRAFT_FILE));
  if (existsSync(join(indexDir, name))) await rm(draft, { recursive: true });
  else {
    await syncDirectory(draft);
    await rename(draft, join(indexDir, name));
    await syncDirectory(indexDir);
  }
  await rm(join(indexDir, INTERRUPTED), { recursive: true, force: true });
  return name;
}

async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
