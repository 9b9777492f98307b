/** Builds the files of an index from the store. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../../src/failure.ts';
import { lockDirectory } from '../../src/store/directory-lock.ts';
import type { DamagedReference, SubjectWithReferences } from '../../src/store/records.ts';
import type { SubjectStore } from '../../src/store/subject-store.ts';
import type { BlockSealer } from '../../src/files/block-file.ts';
import { IndexWriter, type CompletePartition, type IndexShape } from '../../src/index-files/index-writer.ts';
import { isOfModels, readManifest, sealOf, type IndexModels, type Manifest } from '../../src/index-files/manifest.ts';
import { publishedIndex } from '../../src/index-files/index-catalog.ts';
import { attributesOf, packStored, searchable, type PackTemplates } from '../../src/gallery/stored-records.ts';
import { beginDraft, INTERRUPTED, keepDraft, readDraft } from '../../src/index-files/draft.ts';
import { preparedDirectories, removePrepared } from '../../src/index-files/prepared-references.ts';
import { buildGraph, getsGraph, type GraphsOptions } from './graphs.ts';
import { codeFaces, type FaceCodesOptions } from './face-codes.ts';
import { ReusedReferences, type EarlierIndex } from './earlier-references.ts';

export interface IndexBuildOptions {
  readonly store: Pick<SubjectStore, 'snapshot' | 'stateAt'>;
  /** Directory of all indexes. */
  readonly indexDir: string;
  readonly shape: IndexShape;
  readonly models: IndexModels;
  readonly pack: PackTemplates;
  readonly faceCodes: FaceCodesOptions;
  /** Undefined: graphs are not built. */
  readonly graphs?: GraphsOptions | undefined;
  /** Sealer of the key that encrypts the index. */
  readonly sealer: BlockSealer;
  /** Sealer of an earlier index's key. */
  readonly sealerOf: (keyId: string) => BlockSealer;
  /** False: prepare every reference again. */
  readonly reuse: boolean;
  /** Subjects read and prepared together; undefined: enough to keep all threads busy. */
  readonly batchSize?: number;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly onWarning: (sentence: string) => void;
}

export interface BuildProgress {
  readonly subjects: number;
  readonly references: number;
  /** References reused from earlier indexes. */
  readonly reused: number;
}

export interface BuiltIndex extends BuildProgress {
  readonly name: string;
  readonly manifest: Manifest;
}

const SUBJECTS_PER_BATCH = 2000;
/** Maximum number of damaged references named one by one. */
const MAX_WARNINGS = 20;

/**
 * Builds an index of the store's state at one moment. Memory holds one batch of subjects and one block of each
 * partition, and then the faces of one segment, whatever the size of the store. An interrupted build leaves its prepared references to the next one.
 * @throws Failure; written files stay
 */
export async function buildIndex(order: IndexBuildOptions): Promise<BuiltIndex> {
  const { store, indexDir, models, shape, sealer } = order;
  await mkdir(indexDir, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(indexDir);
  const draft = await beginDraft(indexDir);
  const prepared = await preparedDirectories(indexDir);
  const reuse = new ReusedReferences(await earlierIndexes(order, prepared), shape, (error) =>
    order.onWarning(`An earlier index is not used: ${error instanceof Error ? error.message : String(error)}`),
  );
  let writer: IndexWriter | undefined;
  const begin = async (sequence: number) => {
    if (writer !== undefined) return writer;
    const state = await store.stateAt(sequence);
    if (state === undefined) throw new Error('the store does not know its own last change');
    return (writer = await IndexWriter.create(draft, { sequence, state, models }, shape, sealer));
  };
  let progress: BuildProgress = { subjects: 0, references: 0, reused: 0 };
  // A batch is written while the next one is prepared: otherwise threads would wait for the disk.
  let writing = Promise.resolve();
  try {
    const damaged: DamagedReference[] = [];
    const { seq } = await store.snapshot(async (subjects, sequence, unreadable = []) => {
      const prepared = await prepare(subjects, reuse, order.pack);
      damaged.push(...unreadable, ...prepared.damaged);
      await writing;
      writing = write(await begin(sequence), prepared);
      writing.catch(() => undefined);
      progress = {
        subjects: progress.subjects + subjects.length,
        references: progress.references + prepared.references,
        reused: progress.reused + prepared.reused,
      };
      order.onProgress(progress);
    }, order.batchSize ?? SUBJECTS_PER_BATCH);
    await writing;
    for (const { referenceId, reason } of damaged.slice(0, MAX_WARNINGS))
      order.onWarning(`Reference ${referenceId || '(its id cannot be read)'} is damaged and left out (${reason}).`);
    if (damaged.length > 0)
      order.onWarning(`${damaged.length} stored references are damaged: ridgewatch store check lists them.`);
    const manifest = await (await begin(seq)).finish(damaged, completionOf(order, draft));
    const name = await keepDraft(indexDir, manifest);
    await removePrepared(prepared);
    return { ...progress, manifest, name };
  } catch (error) {
    await writing.catch(() => undefined);
    await writer?.abandon();
    throw error;
  } finally {
    await reuse.close();
    lock.release();
  }
}

/** Adds codes and graphs to the finished partitions. */
function completionOf(order: IndexBuildOptions, draft: string): CompletePartition {
  const warned = new Set<string>();
  return async (partition, seal) => {
    const codes = await codeFaces(order.faceCodes, draft, partition, seal);
    const coded = codes === undefined ? partition : { ...partition, codes };
    if (order.graphs === undefined || !getsGraph(partition, order.graphs)) return coded;
    try {
      return { ...coded, graph: await buildGraph(draft, partition, seal, order.graphs) };
    } catch (error) {
      if (!(error instanceof Failure && error.reason === 'NO_MEMORY_FILE')) throw error;
      // Graphs are optional. One reason may hold for all of them.
      if (!warned.has(error.message)) order.onWarning(`A graph was not built. ${error.message}`);
      warned.add(error.message);
      return coded;
    }
  };
}

/** The published index, the remains of an interrupted build, and the references prepared by imports. */
async function earlierIndexes(
  { indexDir, models, sealerOf, reuse, onWarning }: IndexBuildOptions,
  prepared: readonly string[],
): Promise<EarlierIndex[]> {
  if (!reuse) return [];
  const found: EarlierIndex[] = [];
  for (const directory of [join(indexDir, INTERRUPTED), ...prepared]) {
    const draft = await readDraft(directory, models, sealerOf);
    if (draft !== undefined) found.push({ ...draft, whole: false });
  }
  try {
    const name = await publishedIndex(indexDir);
    if (name === undefined) return found;
    const directory = join(indexDir, name);
    const manifest = await readManifest(directory, sealerOf);
    if (isOfModels(manifest, models))
      found.push({ directory, seal: sealOf(manifest, sealerOf(manifest.keyId)), whole: true });
  } catch (error) {
    onWarning(`The published index is not used: ${error instanceof Error ? error.message : String(error)}`);
  }
  return found;
}

/** Subjects, with their packed references by id. */
interface PreparedSubjects {
  readonly subjects: readonly SubjectWithReferences[];
  readonly packed: ReadonlyMap<string, Uint8Array>;
  /** Number of searchable references. */
  readonly references: number;
  /** Number of references reused from an earlier index. */
  readonly reused: number;
  readonly damaged: readonly DamagedReference[];
}

async function prepare(
  subjects: readonly SubjectWithReferences[],
  reuse: ReusedReferences,
  pack: PackTemplates,
): Promise<PreparedSubjects> {
  const packed = new Map<string, Uint8Array>();
  for (const { subject } of subjects) await reuse.find(subject.subjectId, packed);
  const comparable = subjects.flatMap(({ references }) => references.filter((reference) => reference.comparable));
  const missing = comparable.filter(({ referenceId }) => !packed.has(referenceId));
  const damaged = await packStored(pack, missing, packed);
  return {
    subjects,
    packed,
    references: comparable.length - damaged.length,
    reused: comparable.length - missing.length,
    damaged: [...damaged, ...subjects.flatMap((subject) => subject.damaged ?? [])],
  };
}

async function write(writer: IndexWriter, { subjects, packed, damaged }: PreparedSubjects): Promise<void> {
  const ids = new Set(damaged.map(({ referenceId }) => referenceId));
  for (const one of subjects) await writer.add(one.subject.subjectId, attributesOf(one), searchable(one, packed, ids));
}
