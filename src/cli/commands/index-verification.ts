import { join } from 'node:path';
import { verifyIndex } from '../../../index-builder/verify/verify-index.ts';
import { chooseIndex } from '../../index-files/index-catalog.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../matching/workers/gallery-sizing.ts';
import { packedModels } from '../../matching/rates/model-version.ts';
import { WorkerPool } from '../../matching/workers/worker-pool.ts';
import { sealersOf } from '../../security/block-sealer.ts';
import { EXIT } from '../exit-codes.ts';
import { megabytes } from '../index-size.ts';
import { progressBar, printResult } from '../output.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

/** A graph that finds fewer of its own references is not what was built. */
const MIN_GRAPH_RECALL = 0.95;

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
      const { manifest, references, sought, firstExact, foundIndexed, missRate, missRateLimits, graphs } = report;
      const behind = head - manifest.sequence;
      const agrees = behind !== 0 || counts.subjects === manifest.subjects;
      const graphsAreGood = graphs.found >= MIN_GRAPH_RECALL * graphs.sought;
      const isGood = agrees && behind >= 0 && firstExact === sought && graphsAreGood;
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
        graph_sought: graphs.sought,
        graph_found: graphs.found,
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
          ...(graphs.sought === 0
            ? []
            : [`Graphs: ${graphs.found} of ${graphs.sought} references are found by their own vector.`]),
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
