import { describe, expect, it } from 'vitest';
import { layoutSegment, claimScratch, SCRATCH_SLOTS } from '../../src/gallery/segment-layout.ts';
import { Segment } from '../../src/gallery/segment.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import {
  FINGER_PACKED_MAX_BYTES,
  FINGER_SCRATCH_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SCORE,
  REMOVED_SIMILARITY,
} from '../../src/matching/kernels/kernels.ts';
import type { PackedProbe } from '../../src/matching/kernels/packed-probe.ts';
import { compareFingersReference } from '../../src/matching/oracle/finger-comparison.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { STOP, StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { secondImpression, somePrint } from '../prints.ts';

const encoder = new FingerEncoder();
const pack = (seed: number, count = 20 + (seed % 40)) => encoder.encode(somePrint(seed, count)) as Uint8Array;
const go = () => new StopSignal().scan;

function filled(count: number): { segment: Segment; references: Uint8Array[] } {
  const segment = new Segment(count, FINGER_PACKED_MAX_BYTES, { scratchBytes: SEGMENT_SCRATCH_BYTES });
  const references = Array.from({ length: count }, (_, i) => pack(i));
  references.forEach((packed, i) => segment.append(packed, i));
  return { segment, references };
}

const probe: PackedProbe = {
  modality: 'finger',
  packed: encoder.encode(secondImpression(somePrint(7, 47), 1, 30)) as Uint8Array,
};

describe('a scan of a segment', () => {
  it('gives every reference the rate of its own score, and marks removed ones', () => {
    const { segment, references } = filled(150);
    segment.remove(7);
    segment.remove(149);
    const out = new Int16Array(150);
    const counts = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS).scan(probe, 0, 150, out, go());
    expect(counts).toEqual({ read: 150, passed: 150, searched: 148 });
    out.forEach((similarity, i) => {
      const { log10Fmr } = SHIPPED_CALIBRATIONS.finger.rate(compareFingersReference(probe.packed, references[i]));
      expect(similarity).toBe(i === 7 || i === 149 ? REMOVED_SIMILARITY : Math.round(-1000 * log10Fmr) + 0);
    });
  });

  it('skips the references of filtered subjects like removed ones', () => {
    const { segment } = filled(150);
    segment.remove(9);
    const everything = new Int16Array(150);
    const reader = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS);
    reader.scan(probe, 0, 150, everything, go());
    const [members, times] = [new SharedArrayBuffer(140), new SharedArrayBuffer(8 * 150)];
    // A subject that has left a gallery is still visible to searches that began before.
    new Uint8Array(members).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 3));
    new Float64Array(times).forEach((_, ordinal, all) => (all[ordinal] = ordinal % 2 === 0 ? Infinity : 1000));
    const isMember = (ordinal: number) => ordinal < 140 && ordinal % 3 > 0;
    for (const instantMs of [999, 1000]) {
      const isHidden = (ordinal: number) => !isMember(ordinal) || (instantMs === 1000 && ordinal % 2 > 0);
      const out = new Int16Array(130);
      const filter = { scopes: [members], expiry: { times, instantMs }, classes: undefined, ages: undefined };
      const counts = reader.scan(probe, 20, 150, out, go(), filter);
      const passed = Array.from(out, (_, i) => 20 + i).filter((ordinal) => !isHidden(ordinal)).length;
      expect(counts).toEqual({ read: 130, passed, searched: passed });
      out.forEach((similarity, i) =>
        expect(similarity).toBe(isHidden(20 + i) ? REMOVED_SIMILARITY : everything[20 + i]),
      );
    }
  });

  it('gives the same similarities of faces in the filter, however many are outside', () => {
    const [count, dimension] = [9000, 64];
    const segment = new Segment(count, dimension, { scratchBytes: SEGMENT_SCRATCH_BYTES });
    const bytes = (seed: number) => Uint8Array.from({ length: dimension }, (_, i) => (seed * 37 + i * i * 11) % 251);
    for (let i = 0; i < count; i++) segment.append(bytes(i), i);
    for (let i = 0; i < count; i += 50) segment.remove(i);
    const reader = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS);
    const face: PackedProbe = { modality: 'face', packed: bytes(3), modelId: 'm', dimension };
    const everything = new Int16Array(count);
    reader.scan(face, 0, count, everything, go());
    const [ids, allowed] = [new SharedArrayBuffer(4 * count), new SharedArrayBuffer(10)];
    new Uint8Array(allowed)[1] = 1;
    for (const oneIn of [1, 2, 3, 7, 100, 10_000]) {
      // The first ordinals are of another class: some batches have none.
      const passes = (i: number) => i > 5000 && i % oneIn === 0;
      new Uint32Array(ids).forEach((_, i, all) => (all[i] = passes(i) ? 1 : 4));
      const out = new Int16Array(count);
      const filter = { scopes: undefined, expiry: undefined, classes: { ids, allowed }, ages: undefined };
      const { searched, passed } = reader.scan(face, 0, count, out, go(), filter);
      const all = [...everything.keys()];
      const isRight = (i: number) => out[i] === (passes(i) ? everything[i] : REMOVED_SIMILARITY);
      expect(all.filter((i) => !isRight(i))).toEqual([]);
      expect(passed).toBe(all.filter(passes).length);
      expect(searched).toBe(all.filter((i) => passes(i) && i % 50 > 0).length);
    }
  });

  it('stops on its signal and marks references that were not scanned', () => {
    const { segment } = filled(100);
    const out = new Int16Array(100);
    const signal = new StopSignal();
    signal.raise(STOP.scan);
    const counts = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS).scan(probe, 0, 100, out, signal.scan);
    expect(counts).toEqual({ read: 0, passed: 0, searched: 0 });
    expect(out.every((similarity) => similarity === REMOVED_SIMILARITY)).toBe(true);
  });

  it('reports which single references were removed', () => {
    const { segment } = filled(5);
    segment.remove(2);
    const { scores, compared } = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS).compare(
      probe,
      Uint32Array.of(1, 2, 4, 1),
    );
    expect(compared).toBe(4);
    expect(scores[1]).toBe(REMOVED_SCORE);
    expect(scores[0]).toBe(scores[3]);
  });

  it('gives the same result in every thread and in several concurrently', async () => {
    const { segment } = filled(300);
    const alone = new Int16Array(300);
    new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS).scan(probe, 0, 300, alone, go());
    const pool = new WorkerPool(2);
    const stop = go();
    const similarities = new SharedArrayBuffer(12 * 300 * 2);
    const tasks = Array.from({ length: 12 }, (_, i) =>
      pool.scan(
        {
          kind: 'scan',
          probe,
          segment: segment.handle.id,
          from: 0,
          to: 300,
          similarities,
          offset: i * 300,
          stop,
        },
        segment.handle,
      ),
    );
    for (const { busyMs, ...counts } of await Promise.all(tasks)) {
      expect(counts).toEqual({ read: 300, passed: 300, searched: 300 });
      expect(busyMs).toBeGreaterThan(0);
    }
    for (let i = 0; i < 12; i++) expect(new Int16Array(similarities, i * 600, 300)).toEqual(alone);
    await pool.close();
  });
});

describe('the kernels', () => {
  it('write only to their output', () => {
    const layout = layoutSegment(4, SEGMENT_SCRATCH_BYTES);
    const pages = Math.ceil((layout.recordsAddress + 5 * FINGER_PACKED_MAX_BYTES) / 65_536);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    const bytes = new Uint8Array(memory.buffer);
    bytes.fill(0xa5, KERNEL_STATIC_BYTES);
    const kernels = instantiateKernels(memory);
    const reference = pack(1);
    bytes.set(probe.packed, layout.recordsAddress);
    bytes.set(reference, layout.recordsAddress + FINGER_PACKED_MAX_BYTES);
    new Uint32Array(memory.buffer, layout.directoryAddress, 2).set([
      (layout.recordsAddress + FINGER_PACKED_MAX_BYTES) / 16,
      0,
    ]);
    const before = Uint8Array.from(bytes);
    const scores = layout.scratchAddress;
    const scratch = scores + 16;
    kernels.compareFingers(layout.recordsAddress, layout.directoryAddress, 2, scores, scratch);
    expect(new Int32Array(memory.buffer, scores, 2)[1]).toBe(REMOVED_SCORE);
    const outside = (i: number) => i < scores || i >= scratch + FINGER_SCRATCH_BYTES;
    const written = bytes.findIndex((byte, i) => byte !== before[i] && outside(i));
    expect(written).toBe(-1);
  });

  it('reject more threads than there are scratch slots', () => {
    const { segment } = filled(1);
    for (let i = 0; i < SCRATCH_SLOTS; i++) claimScratch(segment.handle);
    expect(() => claimScratch(segment.handle)).toThrow('no scratch slot');
  });
});
