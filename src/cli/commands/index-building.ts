import { buildIndex } from '../../../index-builder/build/build-index.ts';
import { publish } from '../../index-files/index-catalog.ts';
import { gallerySizing, INDEX_SHAPE, SEGMENT_CAPACITY } from '../../matching/workers/gallery-sizing.ts';
import { packedModels } from '../../matching/rates/model-version.ts';
import { packTemplates } from '../../matching/search/probe.ts';
import { WorkerPool } from '../../matching/workers/worker-pool.ts';
import { sealersOf } from '../../security/block-sealer.ts';
import { recorded } from '../command-audit.ts';
import { warnOfLost } from '../damage-output.ts';
import { EXIT } from '../exit-codes.ts';
import { bytesOf, megabytes } from '../index-size.ts';
import { progressBar, printResult } from '../output.ts';
import { afterPublishing } from '../publication.ts';
import { connectionOf, type ConnectionOptions } from '../shared-options.ts';
import { withStore, type StoreOptions } from '../store-access.ts';

interface BuildOptions extends StoreOptions, ConnectionOptions {
  readonly reuse: boolean;
  readonly publish?: boolean;
  readonly graph?: boolean;
}

/** Builds an index of the current store. */
export function build(_args: readonly string[], options: BuildOptions): Promise<number> {
  return withStore(options, async (access) => {
    const { configuration, store, keys } = access;
    const { indexDir } = configuration;
    const pool = new WorkerPool(configuration.workers);
    const { references } = await store.subjects.counts();
    const bar = progressBar('building {bar} {value}/{total} references, {speed}, ETA {eta_formatted}', options);
    const start = performance.now();
    const speed = (done: number) => `${Math.round((1000 * done) / (performance.now() - start))}/s`;
    bar.start(references, 0, { speed: '' });
    try {
      const built = await recorded(
        access,
        { command: 'index build', facts: { publish: options.publish === true, graph: options.graph === true } },
        () =>
          buildIndex({
            store: store.subjects,
            indexDir,
            shape: INDEX_SHAPE,
            models: packedModels(),
            pack: (templates) => packTemplates(pool, templates),
            faceCodes: { pool, sizing: gallerySizing(SEGMENT_CAPACITY) },
            ...(options.graph === true && { graphs: { onProgress: graphProgress(options) } }),
            sealer: sealersOf(keys, 'index')(keys.ring.currentId),
            sealerOf: sealersOf(keys, 'index'),
            reuse: options.reuse,
            onProgress: (progress) => bar.update(progress.references, { speed: speed(progress.references) }),
            onWarning: (sentence) => void process.stderr.write(`${sentence}\n`),
          }),
        ({ name, subjects, references: read, manifest }) => ({
          index: name,
          subject_count: subjects,
          reference_count: read,
          gallery_version: manifest.sequence,
        }),
      );
      bar.stop();
      if (options.publish === true) await publish(indexDir, built.name, packedModels(), sealersOf(keys, 'index'));
      const publication =
        options.publish === true ? await afterPublishing(indexDir, built.name, connectionOf(options)) : undefined;
      const { name, manifest, subjects, reused } = built;
      const graphed = manifest.partitions.filter(({ graph }) => graph !== undefined);
      const seconds = (performance.now() - start) / 1000;
      const document = {
        index: name,
        published: options.publish === true,
        ...(publication !== undefined && { directory: publication.directory, service: publication.service }),
        sequence: manifest.sequence,
        subjects,
        references: built.references,
        reused,
        graphs: graphed.length,
        bytes: bytesOf(manifest),
        seconds,
      };
      const sentence = `${name}: ${subjects} subjects, ${built.references} references (${reused} copied from an earlier index), ${withGraphs(options, graphed.length)}${megabytes(bytesOf(manifest))}, in ${seconds.toFixed(1)} s.`;
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

/** @returns draws a bar for each graph */
function graphProgress(options: BuildOptions): (key: string, done: number, total: number) => void {
  const bar = progressBar('graph of {key} {bar} {value}/{total}, ETA {eta_formatted}', options);
  return (key, done, total) => {
    if (done === 0) bar.start(total, 0, { key });
    bar.update(done);
    if (done === total) bar.stop();
  };
}

function withGraphs({ graph }: BuildOptions, graphs: number): string {
  return graph === true ? `${graphs} graphs, ` : '';
}
