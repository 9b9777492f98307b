/** Nothing remains of compacted segments, in this thread or in a thread that has read them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { SegmentReaders } from '../../src/matching/workers/segment-readers.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const PARTITION = { modality: 'face', modelId: 'm', dimension: 64 } as const;
const CAPACITY = 64;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function enrol(gallery: Gallery, name: number): void {
  const template = { ...PARTITION, quality: 0, values: new Int8Array(64).fill(name % 100) };
  gallery.apply(gallery.version + 1, {
    kind: 'upsert',
    subjectId: `s${name}`,
    attributes: subjectAttributes(),
    references: [{ referenceId: `r${name}`, partition: PARTITION, packed: packFace(template) }],
  });
}

it('memory is reused while references are replaced, and released when fewer remain', async () => {
  const gallery = new Gallery(gallerySizing(CAPACITY));
  const compactor = new Compactor({ current: gallery }, (error) => {
    throw error;
  });
  const readers = new SegmentReaders(SHIPPED_CALIBRATIONS);
  const met = new Map<number, WeakRef<WebAssembly.Memory>>();
  let [first, next] = [0, 0];
  /** A subject is enrolled or expunged, and a thread reads every segment. */
  const step = async (comes: boolean, goes: boolean) => {
    if (comes) enrol(gallery, next++);
    if (goes) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `s${first++}` });
    if (gallery.version % 20 === 0) await compactor.run();
    readers.forgetClosed();
    for (const { segment } of gallery.partition(PARTITION)?.ranges() ?? []) {
      readers.meet(segment.handle);
      met.set(segment.handle.id, new WeakRef(segment.handle.memory));
    }
  };
  for (let i = 0; i < 2000; i++) await step(true, false);
  expect(met.size).toBe(Math.ceil(2000 / CAPACITY));
  for (let i = 0; i < 1900; i++) await step(false, true);
  const shrunk = met.size;
  for (let i = 0; i < 2000; i++) await step(true, true);
  expect(met.size).toBeLessThanOrEqual(shrunk + 2);
  await compactor.run();
  readers.forgetClosed();
  const [partition] = gallery.partitions;
  expect(compactor.compactions).toBeGreaterThan(40);
  expect(partition.liveCount).toBe(100);
  expect(partition.segmentCount).toBeLessThanOrEqual(4);
  // Plus two spare memories for later references.
  const most = partition.segmentCount + 2;
  expect(readers.size).toBeLessThanOrEqual(most);
  // A dereferenced weak reference keeps its target until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect([...met.values()].filter((memory) => memory.deref() !== undefined).length).toBeLessThanOrEqual(most);
});
