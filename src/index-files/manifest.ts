/** The manifest of an index. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { replaceFile } from '../files/durable-file.ts';
import { Failure } from '../failure.ts';
import type { BlockSealer, FileFacts, IndexSeal } from '../files/block-file.ts';

/** Changes with the form of the files, and where codes of faces are made in another way. */
export const INDEX_FORMAT = 2;
export const MANIFEST_FILE = 'manifest.json';
export const SUBJECTS_FILE = 'subjects.rws';

const fileSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9._-]+$/),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** Codes that a gallery's own references decide, and not a shipped model. */
const codesSchema = z.strictObject({
  /** What the codes are made with, see IdentifiedCoder. */
  coderFile: fileSchema,
  coderHash: z.string().regex(/^[0-9a-f]{16}$/),
  /** Bytes of the codes of each reference. */
  codeBytes: z.int().positive(),
  /** The codes of each segment file's references, in order. */
  files: z.array(fileSchema).nonempty(),
});

const partitionSchema = z.strictObject({
  /** See partitionKey. */
  key: z.string().regex(/^(finger:([0-9]|10)|face:[a-z0-9._-]+:\d+)$/),
  /** Bytes of each candidate vector. */
  vectorBytes: z.int().nonnegative(),
  references: z.int().positive(),
  /** Its segment files, in order. */
  files: z.array(fileSchema).nonempty(),
  /** Absent: the references have no codes, or codes beside their vectors. */
  codes: codesSchema.optional(),
  /** Its graph; absent: none. */
  graph: fileSchema.optional(),
});

const contentSchema = z.strictObject({
  format: z.int(),
  /** The last change of the store that the index contains. */
  sequence: z.int().nonnegative(),
  /** The state of the store, see SubjectStore.stateAt. */
  state: z.string(),
  /** Versions that the packed references depend on: they are not comparable under other versions. */
  models: z.strictObject({ finger: z.string(), kernels: z.string(), vectors: z.string() }),
  keyId: z.string(),
  subjects: z.int().nonnegative(),
  subjectsFile: fileSchema,
  partitions: z.array(partitionSchema),
  /** Stored references missing from the index because they are damaged; absent: none. */
  damaged: z.array(z.strictObject({ referenceId: z.string(), subjectId: z.string(), reason: z.string() })).optional(),
});

/** The part of the manifest that is known before the content. */
export const originSchema = contentSchema.pick({ sequence: true, state: true, models: true, keyId: true });

const manifestSchema = contentSchema.extend({ stamp: z.string() });

/** Versions of the models that made the references. */
export type IndexModels = z.output<typeof contentSchema>['models'];
/** The store's change and state, and the models. */
export type IndexOrigin = Omit<z.output<typeof originSchema>, 'keyId'>;
export type CodeFacts = z.output<typeof codesSchema>;
export type PartitionFacts = z.output<typeof partitionSchema>;
export type ManifestContent = z.output<typeof contentSchema>;

/** The manifest of an index. Its stamp, a MAC, proves that the writer had the key. */
export type Manifest = z.output<typeof manifestSchema>;

/** Writes the manifest. It is the last step of a build: an index without a manifest does not count. */
export async function writeManifest(
  directory: string,
  content: ManifestContent,
  sealer: BlockSealer,
): Promise<Manifest> {
  const manifest = { ...content, stamp: sealer.stamp(textOf(content)) };
  await replaceFile(join(directory, MANIFEST_FILE), `${JSON.stringify(manifest, undefined, 2)}\n`, 0o600);
  return manifest;
}

/**
 * @param sealerOf - the sealer of a key
 * @throws Failure INDEX_FILE_MISSING, INDEX_DAMAGED, INDEX_FORMAT_UNKNOWN; what `sealerOf` throws
 */
export async function readManifest(directory: string, sealerOf: (keyId: string) => BlockSealer): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(join(directory, MANIFEST_FILE), 'utf8');
  } catch (cause) {
    const sentence = `There is no index in ${directory}: its manifest is missing.`;
    throw new Failure('failed-precondition', 'INDEX_FILE_MISSING', sentence, { cause });
  }
  const manifest = parse(text);
  const { stamp, ...content } = manifest;
  if (sealerOf(manifest.keyId).stamp(textOf(content)) !== stamp) throw manifestDamaged();
  return manifest;
}

/** Id of the key that an index names; undefined if it is missing or unreadable. */
export async function keyOf(directory: string): Promise<string | undefined> {
  try {
    return parse(await readFile(join(directory, MANIFEST_FILE), 'utf8')).keyId;
  } catch {
    return undefined;
  }
}

function parse(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw manifestDamaged();
  }
  const format = (json as { format?: unknown } | null)?.format;
  if (typeof format === 'number' && format !== INDEX_FORMAT) {
    const sentence = `The index has format ${format}, and this program reads ${INDEX_FORMAT}. Build the index again: ridgewatch index build.`;
    throw new Failure('failed-precondition', 'INDEX_FORMAT_UNKNOWN', sentence);
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw manifestDamaged();
  return parsed.data;
}

function manifestDamaged(): Failure {
  const sentence = `The manifest of the index is damaged. Build the index again: ridgewatch index build.`;
  return new Failure('failed-precondition', 'INDEX_DAMAGED', sentence);
}

function textOf(content: ManifestContent): string {
  return JSON.stringify(contentSchema.parse(content));
}

/** Whether the index was made with these models. */
export function isOfModels({ models }: Pick<IndexOrigin, 'models'>, own: IndexModels): boolean {
  return differingModel(models, own) === undefined;
}

/**
 * Rejects an index made with other models.
 * @throws Failure INDEX_OUTDATED
 */
export function requireModels({ models }: Pick<IndexOrigin, 'models'>, own: IndexModels): void {
  const what = differingModel(models, own);
  if (what === undefined) return;
  const sentence = `The index was built with ${what} ${models[what]}, and this program compares with ${own[what]}. Build the index again: ridgewatch index build.`;
  throw new Failure('failed-precondition', 'INDEX_OUTDATED', sentence);
}

function differingModel(models: IndexModels, own: IndexModels): keyof IndexModels | undefined {
  return (Object.keys(own) as (keyof IndexModels)[]).find((what) => models[what] !== own[what]);
}

/** How the files of an index are sealed. */
export function sealOf({ sequence, state, models }: IndexOrigin, sealer: BlockSealer): IndexSeal {
  return {
    sealer,
    context: `index ${INDEX_FORMAT} ${sequence} ${state} ${JSON.stringify([models.finger, models.kernels, models.vectors])}`,
  };
}

/** Every file except the manifest. */
export function filesOf({ subjectsFile, partitions }: ManifestContent) {
  return [subjectsFile, ...partitions.flatMap(filesOfPartition)];
}

export function filesOfPartition({ files, codes, graph }: PartitionFacts): readonly FileFacts[] {
  return [
    ...files,
    ...(codes === undefined ? [] : [codes.coderFile, ...codes.files]),
    ...(graph === undefined ? [] : [graph]),
  ];
}

/** The name of an index: from its last change and its content. */
export function indexName({ sequence, stamp }: Manifest): string {
  const digest = Buffer.from(stamp, 'base64').toString('hex').slice(0, 12);
  return `index-${String(sequence).padStart(12, '0')}-${digest}`;
}
