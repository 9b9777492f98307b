/** Checks that an index is intact, and that its subjects are found. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { partitionKey, partitionOfKey } from '../../src/gallery/catalogue.ts';
import { damaged, type BlockSealer, type FileFacts, type IndexSeal } from '../../src/files/block-file.ts';
import { coderFile } from '../../src/index-files/code-files.ts';
import type { IndexShape } from '../../src/index-files/index-writer.ts';
import { loadIndex } from '../../src/index-files/index-loader.ts';
import { readIndex } from '../../src/index-files/index-reader.ts';
import {
  filesOf,
  readManifest,
  requireModels,
  sealOf,
  type IndexModels,
  type Manifest,
} from '../../src/index-files/manifest.ts';
import { Gallery, type GallerySizing } from '../../src/gallery/gallery.ts';
import { faceCoderOf } from '../../src/matching/kernels/face-directions-file.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { FLOOR_LOG10_FMR } from '../../src/matching/rates/fusion.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { identify } from '../../src/matching/search/identification.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { seekInGraphs, type GraphFindings } from './graphs.ts';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

/** Maximum number of subjects with equal scores that are distinguished. */
const MAX_TIED = 20;

export interface IndexVerifyOptions {
  readonly directory: string;
  readonly models: IndexModels;
  readonly sealerOf: (keyId: string) => BlockSealer;
  readonly sizing: GallerySizing;
  readonly shape: IndexShape;
  readonly pool: WorkerPool;
  /** Number of references searched, evenly spread; Infinity: all. */
  readonly sample: number;
  readonly onProgress: (what: string, done: number, total: number) => void;
}

export interface VerifyReport {
  readonly manifest: Manifest;
  readonly bytes: number;
  readonly references: number;
  /** References searched with their own template. */
  readonly sought: number;
  /** Those whose subject is ranked first by the exact search. */
  readonly firstExact: number;
  /** Those of them that the indexed search ranks first too. */
  readonly foundIndexed: number;
  /** Share of firstExact that the indexed search misses, with 95 % limits (Clopper-Pearson). */
  readonly missRate: number;
  readonly missRateLimits: readonly [low: number, high: number];
  /** References searched in the graphs; none where the index has no graphs. */
  readonly graphs: GraphFindings;
}

/**
 * Checks every file against the manifest, opens every block, loads the index as the service does, and searches
 * references with their own template, exactly and by the index.
 * @throws Failure as the service would reject it
 */
export async function verifyIndex(order: IndexVerifyOptions): Promise<VerifyReport> {
  const { directory, sealerOf, onProgress } = order;
  const manifest = await readManifest(directory, sealerOf);
  requireModels(manifest, order.models);
  const files = filesOf(manifest);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let checked = 0;
  for (const file of files) {
    await checkFile(directory, file);
    onProgress('files', (checked += file.bytes), bytes);
  }
  const gallery = new Gallery(order.sizing);
  const seal = sealOf(manifest, sealerOf(manifest.keyId));
  const references = manifest.partitions.reduce((sum, partition) => sum + partition.references, 0);
  const indexed = await loadIndex(directory, manifest, seal, gallery, {
    onProgress: (loaded) => onProgress('references', loaded, references),
    share: 1,
    makeCoder: faceCoderOf,
  });
  const found = await seek(order, seal, gallery, references);
  const graphs = await seekInGraphs(indexed, order.sample, (done, total) =>
    onProgress('searches in graphs', done, total),
  );
  const missed = found.firstExact - found.foundIndexed;
  return {
    manifest,
    bytes,
    references,
    ...found,
    missRate: found.firstExact === 0 ? 0 : missed / found.firstExact,
    graphs,
    missRateLimits: found.firstExact === 0 ? [0, 1] : binomialLimits(missed, found.firstExact),
  };
}

async function checkFile(directory: string, { name, bytes, sha256 }: FileFacts): Promise<void> {
  const path = join(directory, name);
  const size = await stat(path).then(
    (found) => found.size,
    () => undefined,
  );
  if (size !== bytes) throw damaged(name, size === undefined ? 'it is missing' : `it has ${size} bytes, not ${bytes}`);
  const digest = createHash('sha256');
  for await (const part of createReadStream(path)) digest.update(part as Buffer);
  if (digest.digest('hex') !== sha256) throw damaged(name, 'its content is not what was written');
}

async function seek(
  { directory, pool, sample, onProgress, shape }: IndexVerifyOptions,
  seal: IndexSeal,
  gallery: Gallery,
  references: number,
): Promise<Pick<VerifyReport, 'sought' | 'firstExact' | 'foundIndexed'>> {
  const [exact, indexed] = [new ExactScan(pool), new IndexedScan(pool)];
  const wanted = Math.min(sample, references);
  const every = references / wanted;
  let [seen, sought, firstExact, foundIndexed] = [0, 0, 0, 0];
  for await (const { subjectId, references: own, packed } of readIndex(directory, seal, (name) =>
    shape.vectorBytesOf(name),
  )) {
    for (const [i, [referenceId, key]] of own.entries()) {
      if (Math.floor(seen++ / every) < sought) continue;
      sought++;
      requireCodes(gallery, subjectId, referenceId, packed[i]);
      const probe = probeOf(key, packed[i]);
      if (await isFirst(subjectId, gallery, exact, pool, probe)) {
        firstExact++;
        if (await isFirst(subjectId, gallery, indexed, pool, probe)) foundIndexed++;
      }
      onProgress('searches', sought, wanted);
    }
  }
  return { sought, firstExact, foundIndexed };
}

/** A face with the codes of another would be missed, and no search would show it. */
function requireCodes(gallery: Gallery, subjectId: string, referenceId: string, packed: Uint8Array): void {
  const place = gallery.subject(subjectId)?.references.find((reference) => reference.referenceId === referenceId);
  if (place === undefined) return;
  const { partition: name, segment, index } = place;
  const coder = gallery.partition(name)?.ranges()[0]?.coder;
  if (coder !== undefined && !Buffer.from(coder.encode(packed)).equals(segment.codesOf(index)))
    throw damaged(coderFile(partitionKey(name)), 'the codes were made with something else');
}

/**
 * Whether no subject ranks above this one. A person enrolled by several agencies has several subjects of equal rank.
 */
async function isFirst(
  subjectId: string,
  gallery: Gallery,
  source: CandidateSource,
  pool: WorkerPool,
  probe: Probe,
): Promise<boolean> {
  const request = {
    probes: [probe],
    scope: EVERYTHING,
    maxCandidates: MAX_TIED,
    threshold: { maxLog10Fmr: FLOOR_LOG10_FMR },
    standardFpir: 0.01,
  };
  const { candidates } = await identify(gallery, () => source, pool, request, new AbortController().signal);
  const tied = candidates.filter(({ log10Fmr }) => log10Fmr === candidates[0].log10Fmr);
  // A full list of ties: there may be more than it shows.
  return tied.length === MAX_TIED || tied.some(({ subject }) => subject.subjectId === subjectId);
}

/** A reference as a probe. Data of its template that are not compared do not matter here. */
function probeOf(key: string, packed: Uint8Array): Probe {
  const name = partitionOfKey(key);
  if (name.modality === 'finger') {
    const template = { modality: 'finger', position: name.position, quality: 0, minutiae: [] } as const;
    return {
      sampleIndex: 0,
      viewIndex: 0,
      template,
      packed: { modality: 'finger', packed },
      calibration: SHIPPED_CALIBRATIONS.finger,
    };
  }
  const { modelId, dimension } = name;
  const template = { modality: 'face', modelId, dimension, quality: 0, values: new Int8Array(packed) } as const;
  const calibration = SHIPPED_CALIBRATIONS.face({ modelId, dimension });
  return {
    sampleIndex: 0,
    viewIndex: 0,
    template,
    packed: { modality: 'face', packed, modelId, dimension },
    calibration,
  };
}
