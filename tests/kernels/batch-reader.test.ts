import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { layoutSegment, type SegmentHandle } from '../../src/gallery/segment-layout.ts';
import { Segment } from '../../src/gallery/segment.ts';
import { batchSizes, MAX_BATCH_PROBES } from '../../src/matching/kernels/batch-kernels.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels/kernels.ts';
import { faceScale } from '../../src/matching/kernels/similarity.ts';
import { compareFacesReference } from '../../src/matching/oracle/face-comparison.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import type { BatchReader } from '../../src/matching/workers/batch-reader.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { STOP, type StopMark } from '../../src/matching/workers/stop-signal.ts';
import { random } from '../prints.ts';
import { buildCases } from './builds.ts';
import { valueOfCodes } from './finger-codes-oracle.ts';

/** More than two turns of a scan of codes, and of one of faces; not a multiple of 32. */
const CODED = 16_500;
const FACES = 2100;
const isRemoved = (index: number) => index % 7 === 3;

/** A mark that stops its work at the given look at it. */
function stoppedAtLook(look: number): StopMark {
  const word = new SharedArrayBuffer(4);
  let looks = 0;
  return {
    level: STOP.scan,
    get word() {
      if (++looks === look) new Int32Array(word)[0] = STOP.all;
      return word;
    },
  };
}

const never = () => stoppedAtLook(0);

/** Ends of the ranges of several probes that begin at `from`, and the looks at which they are stopped. */
const batchOf = (count: number, unit: number) =>
  fc.record({
    from: fc.integer({ min: 0, max: Math.floor(count / unit) - 1 }).map((block) => block * unit),
    probes: fc.array(
      fc.record({ seed: fc.nat(), length: fc.integer({ min: 1, max: count }), look: fc.integer({ min: 0, max: 4 }) }),
      { minLength: 1, maxLength: MAX_BATCH_PROBES },
    ),
  });

function codedSegment(codeBytes: number): { readonly handle: SegmentHandle; readonly codes: Uint8Array[] } {
  const next = random(codeBytes);
  const codes = Array.from({ length: CODED }, () => Uint8Array.from({ length: codeBytes }, () => next() * 256));
  const segment = new Segment(CODED, 16, { scratchBytes: SEGMENT_SCRATCH_BYTES, codeBytes, codesArePacked: true });
  codes.forEach((own, i) => {
    segment.append(Uint8Array.of(...new Uint8Array(16), ...own), i);
    if (isRemoved(i)) segment.remove(i);
  });
  return { handle: segment.handle, codes };
}

function facesSegment(dimension: number): { readonly handle: SegmentHandle; readonly faces: Int8Array[] } {
  const faces = Array.from({ length: FACES }, (_, i) => faceOf(i, dimension));
  const segment = new Segment(FACES, dimension, { scratchBytes: SEGMENT_SCRATCH_BYTES });
  faces.forEach((face, i) => {
    segment.append(bytesOf(face), i);
    if (isRemoved(i)) segment.remove(i);
  });
  return { handle: segment.handle, faces };
}

/** Every other face has only the greatest magnitudes, at which sums might overflow. */
function faceOf(seed: number, dimension: number): Int8Array {
  const next = random(seed);
  return Int8Array.from({ length: dimension }, () => (seed % 2 === 0 ? 254 * next() - 127 : next() < 0.5 ? -127 : 127));
}

function bytesOf({ buffer, byteOffset, byteLength }: Int8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

describe.each(buildCases)('a batch of scans, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('does not run here');
  const readerOf = (handle: SegmentHandle): BatchReader =>
    new SegmentReader(handle, SHIPPED_CALIBRATIONS, build).batches;

  it.each([32, 64])('gives each probe the values of its own scan of codes, of %i bytes', (codeBytes) => {
    const { handle, codes } = codedSegment(codeBytes);
    const batches = readerOf(handle);
    const tablesOf = (seed: number) => {
      const next = random(seed);
      const most = seed % 3 === 0 ? 256 : 8;
      return {
        tables: Uint8Array.from({ length: codeBytes * 32 }, () => next() * most),
        base: Math.floor(next() * 255),
      };
    };
    const nibbles = codes.map((own) => Array.from(own).flatMap((byte) => [byte & 15, byte >> 4]));
    fc.assert(
      fc.property(batchOf(CODED, 32), ({ from, probes }) => {
        const readings = probes.map(({ seed, length, look }) => {
          const to = Math.min(CODED, from + length);
          return { tables: tablesOf(seed), to, out: new Uint8Array(to - from).fill(77), stop: stoppedAtLook(look) };
        });
        const read = batches.scanCodes(readings, from);
        readings.forEach(({ tables, to, out }, p) => {
          const alone = { tables, to: from + read[p], out: new Uint8Array(to - from).fill(77), stop: never() };
          if (read[p] > 0) expect(batches.scanCodes([alone], from)).toEqual([read[p]]);
          else alone.out.fill(0);
          expect(Buffer.compare(out, alone.out)).toBe(0);
          expect(read[p]).toBe(expectedRead(probes, from, CODED, p));
        });
        // A few references by the oracle.
        const [{ tables, out }] = readings;
        for (let k = 0; k < Math.min(read[0], 40); k++)
          expect(out[k]).toBe(isRemoved(from + k) ? 0 : valueOfCodes(nibbles[from + k], tables.tables, tables.base));
      }),
      { numRuns: 40 },
    );
  });

  it.each([16, 48, 512, 2048])(
    'gives each probe the similarities of its own scan of faces, of %i components',
    (dimension) => {
      const { handle, faces } = facesSegment(dimension);
      const batches = readerOf(handle);
      fc.assert(
        fc.property(batchOf(FACES, 1), ({ from, probes }) => {
          const readings = probes.map(({ seed, length, look }) => {
            const to = Math.min(FACES, from + length);
            const face = bytesOf(faceOf(seed, dimension));
            return { face, to, out: new Int16Array(to - from).fill(77), stop: stoppedAtLook(look) };
          });
          const { read, present } = batches.scanFaces(readings, from);
          readings.forEach(({ face, to, out }, p) => {
            const alone = { face, to: from + read[p], out: new Int16Array(to - from).fill(77), stop: never() };
            if (read[p] > 0)
              expect(batches.scanFaces([alone], from)).toEqual({ read: [read[p]], present: [present[p]] });
            else alone.out.fill(REMOVED_SIMILARITY);
            expect(out).toEqual(alone.out);
            const indices = Array.from({ length: read[p] }, (_, k) => from + k);
            expect(present[p]).toBe(indices.filter((index) => !isRemoved(index)).length);
          });
          const [{ out }] = readings;
          const probe = faceOf(probes[0].seed, dimension);
          for (let k = 0; k < Math.min(read[0], 40); k++) {
            const score = BigInt(compareFacesReference(probe, faces[from + k]));
            const scaled = Number((score * BigInt(faceScale(dimension)) + (1n << 23n)) >> 24n);
            const similarity = Math.max(-32_767, Math.min(32_767, scaled));
            expect(out[k]).toBe(isRemoved(from + k) ? REMOVED_SIMILARITY : similarity);
          }
        }),
        { numRuns: 25 },
      );
    },
  );

  it('writes to its own scratch only', () => {
    const { handle } = codedSegment(32);
    const [first, second] = [0, 1].map(() => new SegmentReader(handle, SHIPPED_CALIBRATIONS, build));
    const { scratchAddress, scratchBytes, codesAddress } = layoutSegment(CODED, SEGMENT_SCRATCH_BYTES);
    const around = () => {
      const bytes = new Uint8Array(handle.memory.buffer);
      return Buffer.concat([
        bytes.subarray(0, scratchAddress),
        bytes.subarray(scratchAddress + scratchBytes, codesAddress),
        bytes.subarray(handle.layout.codesAddress),
      ]);
    };
    const readings = Array.from({ length: MAX_BATCH_PROBES }, (_, p) => {
      const tables = { tables: new Uint8Array(1024).fill(p), base: 200 };
      return { tables, to: CODED, out: new Uint8Array(CODED), stop: never() };
    });
    second.batches.scanCodes(readings, 0);
    const before = around();
    first.batches.scanCodes(readings, 0);
    expect(Buffer.compare(around(), before)).toBe(0);
  });
});

/** References read for one of the probes, as long as its mark allows: it is looked at once a turn. */
function expectedRead(
  probes: readonly { readonly length: number; readonly look: number }[],
  from: number,
  count: number,
  p: number,
): number {
  const ends = probes.map(({ length }) => Math.min(count, from + length));
  for (let [at, turn] = [from, 1]; ; turn++) {
    const going = ends.flatMap((end, q) => (at < end && (probes[q].look === 0 || turn < probes[q].look) ? [q] : []));
    if (!going.includes(p)) return Math.min(at, ends[p]) - from;
    const nearest = Math.min(...going.map((q) => ends[q]));
    at += Math.min(8192, 32 * Math.ceil((nearest - at) / 32));
  }
}

it('a batch is divided among kernels without a place for a probe that is not there', () => {
  for (let probes = 1; probes <= MAX_BATCH_PROBES; probes++) {
    const sizes = batchSizes(probes);
    expect(sizes.reduce<number>((sum, size) => sum + size, 0)).toBe(probes);
    expect(new Set(sizes).size).toBe(sizes.length);
  }
});
