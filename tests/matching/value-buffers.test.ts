import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { identify } from '../../src/matching/search/identification.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { prepareProbes } from '../../src/matching/search/probe.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

const FACES = 5000;
const face: FaceTemplate = {
  modality: 'face',
  modelId: 'm',
  dimension: 64,
  quality: 0,
  values: new Int8Array(64).fill(28),
};

describe('buffers for values', () => {
  let pool: WorkerPool;
  const gallery = new Gallery(gallerySizing(8192));
  beforeAll(() => {
    pool = new WorkerPool(1);
    for (let i = 0; i < FACES; i++) {
      const partition = { modality: 'face', modelId: 'm', dimension: 64 } as const;
      const references = [{ referenceId: `r${i}`, partition, packed: packFace(face) }];
      gallery.apply(i + 1, { kind: 'upsert', subjectId: `s${i}`, attributes: subjectAttributes({}), references });
    }
  });
  afterAll(() => pool.close());

  /** Searches that are abandoned during the scan. @returns how many buffers were made for values */
  async function abandon(source: CandidateSource, searches: number): Promise<number> {
    const made: number[] = [];
    const Shared = SharedArrayBuffer;
    vi.stubGlobal('SharedArrayBuffer', function (bytes: number) {
      if (bytes >= FACES) made.push(bytes);
      return new Shared(bytes);
    });
    const scan = pool.scan.bind(pool);
    for (let i = 0; i < searches; i++) {
      const stop = new AbortController();
      const probes = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: face }]);
      const rules = { maxCandidates: 5, threshold: { maxLog10Fmr: 0 }, standardFpir: 0.01 };
      const request = { probes, scope: EVERYTHING, ...rules };
      const begun = vi.spyOn(pool, 'scan').mockImplementationOnce((...order) => {
        stop.abort(new Error('hung up'));
        return scan(...order);
      });
      await expect(identify(gallery, () => source, pool, request, stop.signal)).rejects.toThrow('hung up');
      begun.mockRestore();
    }
    vi.unstubAllGlobals();
    return made.length;
  }

  it.each(['exact', 'indexed'])('are used again after an %s search that was abandoned', async (mode) => {
    expect(await abandon(mode === 'exact' ? new ExactScan(pool) : new IndexedScan(pool), 5)).toBe(1);
  });
});
