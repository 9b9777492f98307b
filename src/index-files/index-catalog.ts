/** The indexes in a directory: listing, publishing and pruning. */
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../failure.ts';
import { replaceFile } from '../files/durable-file.ts';
import type { BlockSealer } from '../files/block-file.ts';
import { filesOf, indexName, keyOf, readManifest, requireModels, type IndexModels, type Manifest } from './manifest.ts';
import { tryLockDirectory } from '../store/directory-lock.ts';
import { DRAFT, INTERRUPTED } from './draft.ts';
import { preparedDirectories, removePrepared } from './prepared-references.ts';

/** File with the name of the published index. */
const CURRENT_FILE = 'current';
const NAME = /^index-\d{12}-[0-9a-f]{12}$/;

function isIndexName(name: string): boolean {
  return NAME.test(name);
}

/** Names of the indexes in a directory, the oldest change first. */
export async function listIndexes(indexDir: string): Promise<string[]> {
  const names = await readdir(indexDir).catch(() => []);
  return names.filter(isIndexName).sort();
}

/** The last change that an index of this name contains. */
export function sequenceOfName(name: string): number {
  return Number(name.slice('index-'.length, 'index-'.length + 12));
}

/**
 * The name of the published index, which services load.
 * @returns undefined: none was published
 * @throws Failure INDEX_DAMAGED
 */
export async function publishedIndex(indexDir: string): Promise<string | undefined> {
  const file = join(indexDir, CURRENT_FILE);
  if (!existsSync(file)) return undefined;
  const name = (await readFile(file, 'utf8')).trim();
  if (isIndexName(name)) return name;
  const sentence = `${file} names no index. Publish one: ridgewatch index publish.`;
  throw new Failure('failed-precondition', 'INDEX_DAMAGED', sentence);
}

/** Publishes an index, atomically. */
export async function setPublishedIndex(indexDir: string, name: string): Promise<void> {
  await replaceFile(join(indexDir, CURRENT_FILE), `${name}\n`, 0o600);
}

/**
 * Resolves an index name.
 * @param name - undefined: the newest
 * @throws Failure INDEX_NOT_FOUND
 */
export async function chooseIndex(indexDir: string, name: string | undefined): Promise<string> {
  const names = await listIndexes(indexDir);
  const chosen = name === undefined ? names.at(-1) : names.find((one) => one === name);
  if (chosen !== undefined) return chosen;
  const sentence =
    name === undefined
      ? `There is no index in ${indexDir}: make one with ridgewatch index build.`
      : `There is no index ${name} in ${indexDir}: ridgewatch index list shows the existing ones.`;
  throw new Failure('not-found', 'INDEX_NOT_FOUND', sentence);
}

/**
 * Publishes an index after checking its manifest: an index that services would reject is not published.
 * @throws Failure INDEX_DAMAGED, INDEX_FILE_MISSING, INDEX_FORMAT_UNKNOWN, INDEX_OUTDATED, KEY_MISSING
 */
export async function publish(
  indexDir: string,
  name: string,
  models: IndexModels,
  sealerOf: (keyId: string) => BlockSealer,
): Promise<Manifest> {
  const manifest = await readManifest(join(indexDir, name), sealerOf);
  requireModels(manifest, models);
  if (indexName(manifest) !== name) {
    const sentence = `The directory ${name} holds another index: ${indexName(manifest)}.`;
    throw new Failure('failed-precondition', 'INDEX_DAMAGED', sentence);
  }
  await setPublishedIndex(indexDir, name);
  return manifest;
}

/**
 * Refuses to delete the key of the published index: a service could no longer start from the index.
 * @throws Failure KEY_IN_USE
 */
export async function requireNotOfPublished(
  indexDir: string,
  keyId: string,
  sealerOf: (keyId: string) => BlockSealer,
): Promise<void> {
  const name = await publishedIndex(indexDir);
  // An unreadable index is of no use to a service.
  const manifest =
    name === undefined ? undefined : await readManifest(join(indexDir, name), sealerOf).catch(() => undefined);
  if (manifest?.keyId !== keyId) return;
  const sentence = `The published index is encrypted with key ${keyId}: publish an index with another key: ridgewatch index build --publish.`;
  throw new Failure('failed-precondition', 'KEY_IN_USE', sentence);
}

/** Names of the indexes encrypted with a key, as their manifests state. */
export async function indexesOf(indexDir: string, keyId: string): Promise<string[]> {
  const names = await listIndexes(indexDir);
  const keys = await Promise.all(names.map((name) => keyOf(join(indexDir, name))));
  return names.filter((_, i) => keys[i] === keyId);
}

/**
 * Removes the oldest indexes, but never the published one. It also removes the remains of imports and interrupted
 * builds, unless a build is running that may need them.
 * @param keep - how many indexes stay, including the published one; at least 1
 * @returns the names of the removed indexes
 */
export async function prune(indexDir: string, keep: number): Promise<string[]> {
  const published = await publishedIndex(indexDir);
  const others = (await listIndexes(indexDir)).filter((name) => name !== published);
  const kept = published === undefined ? keep : keep - 1;
  const removed = kept > 0 ? others.slice(0, -kept) : others;
  for (const name of removed) await rm(join(indexDir, name), { recursive: true });
  await removeRemains(indexDir);
  return removed;
}

async function removeRemains(indexDir: string): Promise<void> {
  if (!existsSync(indexDir)) return;
  const lock = tryLockDirectory(indexDir);
  if (lock === undefined) return;
  try {
    for (const name of [DRAFT, INTERRUPTED]) await rm(join(indexDir, name), { recursive: true, force: true });
    await removePrepared(await preparedDirectories(indexDir));
  } finally {
    lock.release();
  }
}

/** A difference of two indexes: the field, and its value in each. */
export interface ManifestDifference {
  readonly what: string;
  readonly first: string | number;
  readonly second: string | number;
}

/** The differences of two indexes; empty: they are identical. */
export function differences(first: Manifest, second: Manifest): ManifestDifference[] {
  const [a, b] = [factsOf(first), factsOf(second)];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((what) => {
    const [one, other] = [a.get(what) ?? '–', b.get(what) ?? '–'];
    return one === other ? [] : [{ what, first: one, second: other }];
  });
}

function factsOf(manifest: Manifest): Map<string, string | number> {
  const { sequence, state, models, keyId, subjects, partitions } = manifest;
  return new Map<string, string | number>([
    ['change', sequence],
    ['state of the store', state],
    ...Object.entries(models).map(([what, version]): [string, string] => [`model of ${what}`, version]),
    ['key', keyId],
    ['subjects', subjects],
    ...partitions.map(({ key, references }): [string, number] => [`references of ${key}`, references]),
    ...filesOf(manifest).map(({ name, sha256 }): [string, string] => [`content of ${name}`, sha256.slice(0, 12)]),
  ]);
}
