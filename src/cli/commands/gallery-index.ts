import { join } from 'node:path';
import Table from 'cli-table3';
import { buildIndex } from '../../../index-builder/build/build-index.ts';
import { chooseIndex, differences, prune, publish } from '../../index-files/index-catalog.ts';
import { verifyIndex } from '../../../index-builder/verify/verify-index.ts';
import { filesOf, filesOfPartition, readManifest, type Manifest } from '../../index-files/manifest.ts';
import { publishedIndex } from '../../index-files/index-catalog.ts';
import { listIndexes } from '../../index-files/index-catalog.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../matching/workers/gallery-sizing.ts';
import { packedModels } from '../../matching/rates/model-version.ts';
import { packTemplates } from '../../matching/search/probe.ts';
import { WorkerPool } from '../../matching/workers/worker-pool.ts';
import { sealersOf, type KeyedBlockSealer } from '../../security/block-sealer.ts';
import { Keys } from '../../security/keys.ts';
import { warnOfLost } from '../damage-output.ts';
import { EXIT } from '../exit-codes.ts';
import { progressBar, printResult } from '../output.ts';
import { afterPublishing } from '../publication.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { storeSettings, withStore, type StoreOptions } from '../store-access.ts';

export interface BuildOptions extends StoreOptions {
  readonly reuse: boolean;
  readonly publish?: boolean;
}

/** Options of commands that publish. */
type PublishOptions = StoreOptions & ConnectionOptions;

/** Builds an index of the current store. */
export function build(_args: readonly string[], options: BuildOptions & PublishOptions): Promise<number> {
  return withStore(options, async ({ configuration, store, keys }) => {
    const { indexDir } = configuration;
    const pool = new WorkerPool(configuration.workers);
    const { references } = await store.subjects.counts();
    const bar = progressBar('building {bar} {value}/{total} references, {speed}, ETA {eta_formatted}', options);
    const start = performance.now();
    const speed = (done: number) => `${Math.round((1000 * done) / (performance.now() - start))}/s`;
    bar.start(references, 0, { speed: '' });
    try {
      const built = await buildIndex({
        store: store.subjects,
        indexDir,
        shape: INDEX_SHAPE,
        models: packedModels(),
        pack: (templates) => packTemplates(pool, templates),
        faceCodes: { pool, sizing: gallerySizing(SEGMENT_CAPACITY) },
        sealer: sealersOf(keys, 'index')(keys.ring.currentId),
        sealerOf: sealersOf(keys, 'index'),
        reuse: options.reuse,
        onProgress: (progress) => bar.update(progress.references, { speed: speed(progress.references) }),
        onWarning: (sentence) => void process.stderr.write(`${sentence}\n`),
      });
      bar.stop();
      if (options.publish === true) await publish(indexDir, built.name, packedModels(), sealersOf(keys, 'index'));
      const publication =
        options.publish === true ? await afterPublishing(indexDir, built.name, connectionOf(options)) : undefined;
      const { name, manifest, subjects, reused } = built;
      const seconds = (performance.now() - start) / 1000;
      const document = {
        index: name,
        published: options.publish === true,
        ...(publication !== undefined && { directory: publication.directory, service: publication.service }),
        sequence: manifest.sequence,
        subjects,
        references: built.references,
        reused,
        bytes: bytesOf(manifest),
        seconds,
      };
      const sentence = `${name}: ${subjects} subjects, ${built.references} references (${reused} copied from an earlier index), ${megabytes(bytesOf(manifest))}, in ${seconds.toFixed(1)} s.`;
      const next = publication?.sentence ?? 'Next: "ridgewatch index publish".';
      printResult(options, document, `${sentence} ${next}`);
      const lost = warnOfLost(store.subjects.lost.tables, ['subject', 'reference', 'gallery_membership']);
      return lost || manifest.damaged !== undefined ? EXIT.partlyRefused : EXIT.ok;
    } finally {
      bar.stop();
      await pool.close();
    }
  });
}

/** Checks an index and compares its counts with the store's. */
export function verify(
  [name]: readonly string[],
  options: StoreOptions & { readonly sample: string },
): Promise<number> {
  return withStore(options, async ({ configuration, store, keys }) => {
    const { indexDir } = configuration;
    const chosen = await chooseIndex(indexDir, name);
    const pool = new WorkerPool(configuration.workers);
    const bar = progressBar('{what} {bar} {percentage} %, ETA {eta_formatted}', options);
    let what = '';
    try {
      const report = await verifyIndex({
        directory: join(indexDir, chosen),
        models: packedModels(),
        sealerOf: sealersOf(keys, 'index'),
        sizing: gallerySizing(SEGMENT_CAPACITY),
        shape: INDEX_SHAPE,
        pool,
        sample: options.sample === 'all' ? Infinity : Number(options.sample),
        onProgress: (now, done, total) => {
          if (now !== what) bar.start(total, done, { what: now });
          what = now;
          bar.update(done);
        },
      });
      bar.stop();
      const [counts, head] = [await store.subjects.counts(), await store.subjects.headSequence()];
      const { manifest, references, sought, firstExact, foundIndexed, missRate, missRateLimits } = report;
      const behind = head - manifest.sequence;
      const agrees = behind !== 0 || counts.subjects === manifest.subjects;
      const isGood = agrees && behind >= 0 && firstExact === sought;
      const document = {
        index: chosen,
        ok: isGood,
        sequence: manifest.sequence,
        store_sequence: head,
        subjects: manifest.subjects,
        store_subjects: counts.subjects,
        references,
        bytes: report.bytes,
        sought,
        first_exact: firstExact,
        found_indexed: foundIndexed,
        miss_rate: missRate,
        miss_rate_limits: missRateLimits,
      };
      const against =
        behind === 0
          ? `the store holds ${counts.subjects} subjects${agrees ? ', the same' : ': they differ'}`
          : behind > 0
            ? `the store has ${behind} newer changes`
            : `the store has ${-behind} fewer changes: it is another store, or an older state`;
      printResult(
        options,
        document,
        [
          `${chosen}: all files and blocks are intact (${megabytes(report.bytes)}).`,
          `${manifest.subjects} subjects, ${references} references; ${against}.`,
          `Self-match check: ${sought} references searched with their own template. ${firstExact} are at rank 1 of the exact search; the index misses ${(100 * missRate).toFixed(2)} % of these (95 %: ${missRateLimits.map((limit) => (100 * limit).toFixed(2)).join(' to ')}).`,
          isGood ? 'The index is good.' : 'The index is NOT good.',
        ].join('\n'),
      );
      return isGood ? EXIT.ok : EXIT.failed;
    } finally {
      bar.stop();
      await pool.close();
    }
  });
}

/** Lists the indexes. */
export async function list(_args: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir } = storeSettings(options);
  const [names, published] = [await listIndexes(indexDir), await publishedIndex(indexDir)];
  const listed = names.map((name) => ({ index: name, published: name === published }));
  const lines = listed.map(({ index, published: isIt }) => `${index}${isIt ? '  published' : ''}`);
  printResult(
    options,
    { indexes: listed },
    lines.length === 0 ? `There is no index in ${indexDir}.` : lines.join('\n'),
  );
  return EXIT.ok;
}

/** Shows the manifest of an index. */
export async function inspect([name]: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir, sealerOf } = await shelf(options);
  const chosen = await chooseIndex(indexDir, name);
  const manifest = await readManifest(join(indexDir, chosen), sealerOf);
  const head = ['partition', 'references', 'segments', 'size', 'face directions'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const partition of manifest.partitions) {
    const { key, references, files, codes } = partition;
    const bytes = filesOfPartition(partition).reduce((sum, file) => sum + file.bytes, 0);
    table.push([key, references, files.length, megabytes(bytes), codes?.coderHash ?? '']);
  }
  const { sequence, subjects, models, keyId } = manifest;
  printResult(
    options,
    { index: chosen, ...manifest },
    [
      `${chosen}: ${subjects} subjects as of change ${sequence}, ${megabytes(bytesOf(manifest))}, key ${keyId}`,
      `models: fingers ${models.finger}, kernels ${models.kernels}, candidate vectors ${models.vectors}`,
      table.toString(),
    ].join('\n'),
  );
  return EXIT.ok;
}

/** Shows the differences of two indexes. */
export async function diff([first, second]: readonly string[], options: StoreOptions): Promise<number> {
  const { indexDir, sealerOf } = await shelf(options);
  const [one, other] = [await chooseIndex(indexDir, first), await chooseIndex(indexDir, second)];
  const found = differences(
    await readManifest(join(indexDir, one), sealerOf),
    await readManifest(join(indexDir, other), sealerOf),
  );
  const table = new Table({ head: ['', one, other], style: { head: [], border: [] } });
  for (const { what, first: a, second: b } of found) table.push([what, a, b]);
  printResult(
    options,
    { first: one, second: other, differences: found },
    found.length === 0 ? 'No differences.' : table.toString(),
  );
  return EXIT.ok;
}

/** Publishes an index: services switch to it. */
export async function publishOne([name]: readonly string[], options: PublishOptions): Promise<number> {
  const { indexDir, sealerOf } = await shelf(options);
  const chosen = await chooseIndex(indexDir, name);
  await publish(indexDir, chosen, packedModels(), sealerOf);
  const { sentence, ...publication } = await afterPublishing(indexDir, chosen, connectionOf(options));
  printResult(options, { published: chosen, ...publication }, sentence);
  return EXIT.ok;
}

/** Deletes the oldest indexes. */
export async function pruneOld(
  _args: readonly string[],
  options: StoreOptions & { readonly keep: number },
): Promise<number> {
  const removed = await prune(storeSettings(options).indexDir, options.keep);
  printResult(options, { removed }, removed.length === 0 ? 'Nothing was removed.' : `Removed: ${removed.join(', ')}.`);
  return EXIT.ok;
}

async function shelf(
  options: StoreOptions,
): Promise<{ indexDir: string; sealerOf: (keyId: string) => KeyedBlockSealer }> {
  const configuration = storeSettings(options);
  const keys = new Keys(configuration);
  await keys.open(true);
  return { indexDir: configuration.indexDir, sealerOf: sealersOf(keys, 'index') };
}

function bytesOf(manifest: Manifest): number {
  return filesOf(manifest).reduce((sum, { bytes }) => sum + bytes, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
