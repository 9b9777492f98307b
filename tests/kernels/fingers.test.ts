import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import {
  MINIMUM_MINUTIAE,
  FINGER_PACKED_MAX_BYTES,
  MAX_FINGER_SCORE,
  REMOVED_SCORE,
} from '../../src/matching/kernels/kernels.ts';
import { packedOffsets } from '../../src/matching/model/packed-layout.ts';
import { compareFingersReference } from '../../src/matching/oracle/finger-comparison.ts';
import { encodeFingerReference } from '../../src/matching/oracle/finger-encoding.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { Segment } from '../../src/gallery/segment.ts';
import { SHIPPED_CALIBRATIONS } from '../../src/matching/rates/calibrations.ts';
import { SEGMENT_SCRATCH_BYTES, SegmentReader } from '../../src/matching/workers/segment-reader.ts';
import { StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { decodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { garbage, random, secondImpression, somePrint, squeezed } from '../prints.ts';
import { isoFiles, sharedData } from '../shared-data.ts';
import { buildCases } from './builds.ts';

/**
 * The highest score whose rate the calibration has measured, see likeness.test.ts. Non-mated scores stay below it here.
 */
const MEASURED = 990;
/** Second impressions of a whole print score above this. */
const MATED = 1500;

interface FingerKernels {
  readonly encoder: FingerEncoder;
  readonly comparer: DirectComparer;
}

function kernelsOf(build?: KernelBuild): FingerKernels {
  return { encoder: new FingerEncoder(undefined, build), comparer: new DirectComparer(build) };
}

function packWith({ encoder }: FingerKernels, template: FingerTemplate): Uint8Array {
  const packed = encoder.encode(template);
  if (packed === undefined) throw new Error('too few minutiae');
  return packed;
}

function compareWith({ comparer }: FingerKernels, a: Uint8Array, b: Uint8Array): number {
  const score = comparer.comparePacked({ modality: 'finger', packed: a }, { modality: 'finger', packed: b });
  if (score === undefined) throw new Error('not compared');
  return score;
}

const NEVER = new StopSignal().all;
const preferred = kernelsOf();
const { encoder } = preferred;
const pack = (template: FingerTemplate) => packWith(preferred, template);
const compare = (a: Uint8Array, b: Uint8Array) => compareWith(preferred, a, b);

const anyTemplate: fc.Arbitrary<FingerTemplate> = fc
  .record({ seed: fc.integer(), count: fc.integer({ min: MINIMUM_MINUTIAE, max: 64 }), orderly: fc.boolean() })
  .map(({ seed, count, orderly }) => (orderly ? somePrint(seed, count) : garbage(seed, count)));

describe.each(buildCases)('the finger kernel and its oracle, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('does not run here');
  const kernels = kernelsOf(build);
  const pack = (template: FingerTemplate) => packWith(kernels, template);
  const compare = (a: Uint8Array, b: Uint8Array) => compareWith(kernels, a, b);

  it('encode every template to the same bytes', () => {
    fc.assert(
      fc.property(anyTemplate, (template) => {
        const packed = pack(template);
        expect(packed.byteLength).toBe(packedOffsets(template.minutiae.length).length);
        expect(packed).toEqual(encodeFingerReference(template));
      }),
      { numRuns: 75 },
    );
  });

  it('encode templates of any density to the same bytes', () => {
    // Places are reached by none, one or many; many minutiae are on the rim of the reach, and roots reach their limit.
    fc.assert(
      fc.property(anyTemplate, fc.integer({ min: 6, max: 200 }), (template, pixels) => {
        const dense = squeezed(template, pixels);
        expect(pack(dense)).toEqual(encodeFingerReference(dense));
      }),
      { numRuns: 40 },
    );
  });

  it('encode degenerate constellations to the same bytes', () => {
    const base = { modality: 'finger', position: 0, quality: 0 } as const;
    const minutia = (x: number, y: number, angle = 0) => ({ x, y, angle, type: 1, quality: 0 }) as const;
    const row = Array.from({ length: 20 }, (_, i) => minutia(10 * i, 0, i));
    const column = Array.from({ length: 20 }, (_, i) => minutia(0, 7 * i, 200));
    const heap = Array.from({ length: 64 }, (_, i) => minutia(i % 8, Math.floor(i / 8), (37 * i) & 255));
    const wide = [minutia(0, 0), minutia(16_000, 0), minutia(0, 16_000), minutia(16_000, 16_000), minutia(1, 1)];
    for (const minutiae of [row, column, heap, wide]) {
      const template = { ...base, minutiae };
      const packed = pack(template);
      expect(packed).toEqual(encodeFingerReference(template));
      expect(compare(packed, packed)).toBe(compareFingersReference(packed, packed));
    }
  });

  it('give the same score for mated and non-mated impressions', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.integer({ min: 0, max: 255 }), (seed, other, turn) => {
        const first = pack(somePrint(seed));
        const again = pack(secondImpression(somePrint(seed), other, turn));
        const different = pack(somePrint(other));
        expect(compare(again, first)).toBe(compareFingersReference(again, first));
        expect(compare(again, different)).toBe(compareFingersReference(again, different));
      }),
      { numRuns: 100 },
    );
  });

  it('screen references by their support, whatever is removed between them, and change no other score', () => {
    const model = shippedFingerModel();
    const references = fc.array(fc.record({ seed: fc.nat(6), again: fc.boolean(), removed: fc.boolean() }), {
      minLength: 1,
      maxLength: 12,
    });
    let [screened, passed] = [0, 0];
    fc.assert(
      fc.property(references, fc.constantFrom(0.9, 3, 12, 1000), (list, minSupport) => {
        const probe = pack(secondImpression(somePrint(0), 99, 30));
        const packed = list.map(({ seed, again }) =>
          pack(again ? secondImpression(somePrint(seed), seed, 10) : somePrint(seed)),
        );
        const segment = new Segment(list.length, FINGER_PACKED_MAX_BYTES, { scratchBytes: SEGMENT_SCRATCH_BYTES });
        packed.forEach((bytes, i) => segment.append(bytes, i));
        list.forEach(({ removed }, i) => removed && segment.remove(i));
        const reader = new SegmentReader(segment.handle, SHIPPED_CALIBRATIONS, build);
        const indices = Uint32Array.from(list.keys());
        const compared = (bar?: number) => reader.compare({ modality: 'finger', packed: probe }, indices, NEVER, bar);
        const [whole, some] = [compared().scores, compared(minSupport).scores];
        list.forEach(({ removed }, i) => {
          const expected = removed
            ? REMOVED_SCORE
            : compareFingersReference(probe, packed[i], model, Math.fround(minSupport));
          expect(some[i]).toBe(expected);
          if (some[i] === whole[i]) passed++;
          else screened++;
          if (some[i] !== 0) expect(some[i]).toBe(whole[i]);
        });
      }),
      { numRuns: 60 },
    );
    expect(Math.min(screened, passed)).toBeGreaterThan(0);
  });

  it('give the same score for random templates of any density', () => {
    const side = fc.constantFrom(8, 20, 60, 300);
    fc.assert(
      fc.property(anyTemplate, anyTemplate, side, fc.integer(), (one, other, pixels, seed) => {
        const a = squeezed(one, pixels);
        const b = squeezed(other, pixels);
        const again = secondImpression(a, seed, seed & 255, 0.3);
        fc.pre(again.minutiae.length >= MINIMUM_MINUTIAE);
        const [x, y, z] = [pack(a), pack(b), pack(again)];
        expect(compare(x, y)).toBe(compareFingersReference(x, y));
        expect(compare(z, x)).toBe(compareFingersReference(z, x));
      }),
      { numRuns: 120 },
    );
  });

  it.skipIf(!sharedData)('agree on real prints (skipped where the shared data is not present)', () => {
    const packed = isoFiles('fingerprints/fvc2002-mindtct/DB3_B')
      .slice(0, 24)
      .map(({ bytes }) => {
        const record = decodeIso197942(bytes);
        const template = toFingerTemplate(record, record.views[0]);
        const result = pack(template);
        expect(result).toEqual(encodeFingerReference(template));
        return result;
      });
    for (const a of packed) for (const b of packed) expect(compare(a, b)).toBe(compareFingersReference(a, b));
  });
});

/** The same minutiae in another order. */
function shuffled(template: FingerTemplate, seed: number): FingerTemplate {
  const next = random(seed);
  const keyed = template.minutiae.map((minutia) => ({ minutia, key: next() }));
  return { ...template, minutiae: keyed.sort((a, b) => a.key - b.key).map(({ minutia }) => minutia) };
}

describe('a finger score', () => {
  it('is symmetric in probe and reference', () => {
    fc.assert(
      fc.property(anyTemplate, anyTemplate, fc.integer(), fc.boolean(), (one, other, seed, equal) => {
        const count = Math.min(one.minutiae.length, other.minutiae.length);
        const cut = (t: FingerTemplate) => pack(equal ? { ...t, minutiae: t.minutiae.slice(0, count) } : t);
        const [a, b] = [cut(one), cut(other)];
        expect(compare(a, b)).toBe(compare(b, a));
        const reordered = pack(shuffled(one, seed));
        const itself = pack(one);
        expect(compare(itself, reordered)).toBe(compare(reordered, itself));
        const again = secondImpression(one, seed, seed & 255);
        fc.pre(again.minutiae.length >= MINIMUM_MINUTIAE);
        expect(compare(pack(again), itself)).toBe(compare(itself, pack(again)));
      }),
      { numRuns: 200 },
    );
  });

  it('depends on the order of the minutiae only if it breaks ties', () => {
    // Equally good pairs are taken in record order, and a chosen pair excludes others. Another order may therefore
    // change a score, but rarely does, and never that of a finger with itself.
    const seeds = Array.from({ length: 300 }, (_, i) => i);
    const unchanged = seeds.filter((seed) => {
      const print = somePrint(seed, 12 + (seed % 53));
      const reordered = pack(shuffled(print, seed + 1));
      const itself = pack(print);
      expect(compare(reordered, itself)).toBe(compare(itself, itself));
      const again = pack(secondImpression(print, seed, seed & 255));
      return compare(reordered, again) === compare(itself, again);
    });
    expect(unchanged.length / seeds.length).toBeGreaterThan(0.9);
  });
});

describe('a finger comparison', () => {
  it('recognises a finger turned by any angle', () => {
    for (let turn = 0; turn < 256; turn += 16) {
      const first = pack(somePrint(turn + 1));
      expect(compare(pack(secondImpression(somePrint(turn + 1), turn + 2, turn)), first)).toBeGreaterThan(MATED);
    }
  });

  it('scores a finger highest against itself, within the range', () => {
    for (const count of [5, 12, 40, 64]) {
      const packed = pack(somePrint(count, count));
      const itself = compare(packed, packed);
      expect(itself).toBeLessThanOrEqual(MAX_FINGER_SCORE);
      expect(itself).toBeGreaterThan(compare(packed, pack(somePrint(count + 100))));
    }
  });

  it('never gives dense random templates a high score', () => {
    const prints = Array.from({ length: 40 }, (_, i) => pack(somePrint(i, 45)));
    const crowds = Array.from({ length: 40 }, (_, i) => pack(garbage(1000 + i, 64)));
    const scores = crowds.flatMap((crowd) =>
      [...prints, ...crowds].filter((p) => p !== crowd).map((p) => compare(crowd, p)),
    );
    expect(Math.max(...scores)).toBeLessThan(MEASURED);
  });

  it('never gives tiny templates a high score against others', () => {
    const prints = Array.from({ length: 60 }, (_, i) => pack(somePrint(i, 45)));
    const tiny = Array.from({ length: 60 }, (_, i) => pack(somePrint(2000 + i, 6)));
    expect(Math.max(...tiny.flatMap((t) => prints.map((p) => compare(t, p))))).toBeLessThan(MEASURED);
  });

  it('does not compare fewer than five minutiae', () => {
    expect(encoder.encode(somePrint(1, MINIMUM_MINUTIAE - 1))).toBeUndefined();
    expect(encodeFingerReference(somePrint(1, MINIMUM_MINUTIAE - 1))).toBeUndefined();
    expect(encoder.encode(somePrint(1, MINIMUM_MINUTIAE))).toBeDefined();
  });

  it('never exceeds the largest packed size', () => {
    expect(pack(somePrint(3, 64)).byteLength).toBe(FINGER_PACKED_MAX_BYTES);
  });
});
