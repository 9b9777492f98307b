/**
 * A program that builds an index and is killed while it codes the faces, or builds a graph:
 * killed-build.ts URL KEY_DIR INDEX_DIR TASKS|graph
 */
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { buildIndex } from '../../index-builder/build/build-index.ts';
import { packedModels } from '../../src/matching/rates/model-version.ts';
import { packTemplates } from '../../src/matching/search/probe.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { sealersOf } from '../../src/security/block-sealer.ts';
import { Keys } from '../../src/security/keys.ts';
import { openStore } from '../../src/store/store.ts';
import { MIN_FACES, MIN_REFERENCES, SHAPE } from './coded-store.ts';

const [databaseUrl, dataDir, indexDir, moment] = process.argv.slice(2);
const keys = new Keys({ keyFile: undefined, dataDir });
const store = await openStore({ databaseUrl, dataDir: '', keys, log: () => undefined });
const sealerOf = sealersOf(keys, 'index');
const pool = new WorkerPool(1);
const encode = pool.encodeFaces.bind(pool);
let left = Number(moment);
pool.encodeFaces = async (...task) => {
  const coded = await encode(...task);
  if (left-- === 0) process.kill(process.pid, 'SIGKILL');
  return coded;
};
await buildIndex({
  store: store.subjects,
  indexDir,
  shape: SHAPE,
  models: packedModels(),
  pack: (templates) => packTemplates(pool, templates),
  faceCodes: { pool, sizing: gallerySizing(SHAPE.capacity), minFaces: MIN_FACES },
  graphs: {
    minReferences: MIN_REFERENCES,
    onProgress: (_, done) => void (moment === 'graph' && done >= 100 && process.kill(process.pid, 'SIGKILL')),
  },
  sealer: sealerOf(keys.ring.currentId),
  sealerOf,
  reuse: false,
  onProgress: () => undefined,
  onWarning: () => undefined,
});
