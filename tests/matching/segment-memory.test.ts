/** The process releases memory when segments are compacted, even after threads have read them. */
import { expect, it, vi } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { comparePieces } from '../../src/matching/search/comparisons.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { SEGMENT_SCRATCH_BYTES } from '../../src/matching/workers/segment-reader.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const RECORD_BYTES = 1 << 19;
/** One shared record, so that only segments give the collectors a reason to run. */
const RECORD = new Uint8Array(RECORD_BYTES).fill(1);
const CAPACITY = 32;
const SEGMENTS = 24;
const SIZING = {
  capacity: CAPACITY,
  maxRecordBytes: RECORD_BYTES,
  scratchBytes: SEGMENT_SCRATCH_BYTES,
  vectorBytes: 0,
};
const PARTITION = { modality: 'face', modelId: 'm', dimension: 64 } as const;
const PROBE: PackedProbe = { ...PARTITION, packed: new Uint8Array(64) };
const ATTRIBUTES = subjectAttributes({ galleries: new Set<string>() });

it('resident memory falls when most of a gallery is expunged', async () => {
  const gallery = new Gallery({ finger: SIZING, face: () => SIZING });
  const compactor = new Compactor({ current: gallery }, (error) => {
    throw error;
  });
  const pool = new WorkerPool(1);
  const search = () => {
    const ranges = gallery.partition(PARTITION)?.ranges() ?? [];
    const pieces = ranges.map(({ segment }) => ({ segment, indices: Uint32Array.of(0) }));
    return comparePieces(pool, PROBE, pieces);
  };
  await search();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < CAPACITY * SEGMENTS; i++) {
    const references = [{ referenceId: `r${i}`, partition: PARTITION, packed: RECORD }];
    const change = { kind: 'upsert', subjectId: `s${i}`, attributes: ATTRIBUTES, references } as const;
    gallery.apply(gallery.version + 1, change);
  }
  await search();
  const full = CAPACITY * SEGMENTS * RECORD_BYTES;
  expect(process.memoryUsage.rss() - before).toBeGreaterThan(full * 0.9);
  for (let i = 0; i < CAPACITY * SEGMENTS; i++) {
    if (i % 8 > 0) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `s${i}` });
  }
  // As in the service, the next task notifies the thread, and the collector runs on request.
  const settle = async () => {
    await compactor.run();
    await search();
    expect(process.memoryUsage.rss() - before).toBeLessThan(full / 2);
  };
  await vi.waitFor(settle, { timeout: 20_000, interval: 10 });
  // Memory reserved for new segments is released as well, when no new segment comes.
  const rewritten = process.memoryUsage.rss();
  const segmentBytes = gallery.partitions[0].ranges()[0].segment.handle.memory.buffer.byteLength;
  const release = async () => {
    gallery.releaseMemory(Infinity);
    await search();
    expect(process.memoryUsage.rss()).toBeLessThan(rewritten - 1.5 * segmentBytes);
  };
  await vi.waitFor(release, { timeout: 20_000, interval: 10 });
  await pool.close();
  const { liveCount, removedCount } = gallery.partitions[0];
  expect([liveCount, removedCount]).toEqual([(CAPACITY * SEGMENTS) / 8, 0]);
});
