import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import type { KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import {
  FACE_SCRATCH_BYTES,
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SCORE,
  REMOVED_SIMILARITY,
} from '../../src/matching/kernels/kernels.ts';
import { faceScale } from '../../src/matching/kernels/similarity.ts';
import { compareFacesReference } from '../../src/matching/oracle/face-comparison.ts';
import { buildCases } from './builds.ts';

const comparer = new DirectComparer();

function compare(a: Int8Array, b: Int8Array, by = comparer): number | undefined {
  const probe = (values: Int8Array) =>
    ({ modality: 'face', packed: new Uint8Array(values.buffer), modelId: 'model', dimension: values.length }) as const;
  return by.comparePacked(probe(a), probe(b));
}

const dimension = fc.integer({ min: 4, max: 128 }).map((n) => n * 16);
const vector = (size: number) => fc.int8Array({ minLength: size, maxLength: size, min: -127, max: 127 });

/** What a kernel writes for faces in one memory after a probe, compared in one call; undefined: removed. */
function compareMany(build: KernelBuild, faces: readonly (Int8Array | undefined)[], probe: Int8Array, scale?: number) {
  const size = probe.length;
  const [directory, scores, scratch] = [0, 256, 512].map((offset) => KERNEL_STATIC_BYTES + offset);
  const start = scratch + FACE_SCRATCH_BYTES;
  const pages = Math.ceil((start + (faces.length + 1) * size) / 65_536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels = instantiateKernels(memory, undefined, build);
  new Int8Array(memory.buffer, start, size).set(probe);
  faces.forEach((face, i) => {
    const address = start + (i + 1) * size;
    if (face) new Int8Array(memory.buffer, address, size).set(face);
    new Uint32Array(memory.buffer, directory, faces.length)[i] = face ? address / 16 : 0;
  });
  const range = [memory.buffer, scores, faces.length + 1] as const;
  const written = scale === undefined ? new Int32Array(...range).fill(77) : new Int16Array(...range).fill(77);
  let present: number | undefined;
  if (scale === undefined) kernels.compareFaces(start, size, directory, faces.length, scores, scratch);
  else present = kernels.resembleFaces(start, size, directory, faces.length, scores, scale, scratch);
  expect(written[faces.length], 'nothing is written past the last number').toBe(77);
  return { written: [...written.subarray(0, faces.length)], present };
}

describe.each(buildCases)('the face kernel, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('does not run here');
  const by = new DirectComparer(build);

  it('gives the inner product of the oracle for every dimension', () => {
    const pairs = dimension.chain((size) => fc.tuple(vector(size), vector(size)));
    fc.assert(fc.property(pairs, ([a, b]) => void expect(compare(a, b, by)).toBe(compareFacesReference(a, b))));
  });

  it('does not overflow at the ends of the range', () => {
    for (const [x, y] of [
      [127, 127],
      [-127, -127],
      [127, -127],
    ] as const) {
      const a = new Int8Array(2048).fill(x);
      const b = new Int8Array(2048).fill(y);
      expect(compare(a, b, by)).toBe(2048 * x * y);
    }
  });

  const removable = (size: number) => fc.option(vector(size), { nil: undefined });
  const sets = fc
    .constantFrom(64, 80, 96, 112, 512)
    .chain((size) => fc.tuple(vector(size), fc.array(removable(size), { maxLength: 7 })));

  it('compares any number of references in a call, including removed ones', () => {
    fc.assert(
      fc.property(sets, ([probe, faces]) => {
        const expected = faces.map((face) => (face ? compareFacesReference(probe, face) : REMOVED_SCORE));
        expect(compareMany(build, faces, probe).written).toEqual(expected);
      }),
    );
  });

  it('scales scores to similarities of sixteen bits', () => {
    const scale = fc.constantFrom(faceScale(512), faceScale(64), 1, 2 ** 22, 2 ** 26);
    fc.assert(
      fc.property(sets, scale, ([probe, faces], factor) => {
        const limited = (score: number) => Math.max(-32_767, Math.min(32_767, Math.round((score * factor) / 2 ** 24)));
        const expected = faces.map((face) => (face ? limited(compareFacesReference(probe, face)) : REMOVED_SIMILARITY));
        const { written, present } = compareMany(build, faces, probe, factor);
        expect(written).toEqual(expected.map((value) => (value === 0 ? 0 : value)));
        expect(present).toBe(faces.filter((face) => face !== undefined).length);
      }),
    );
  });
});

it('does not compare embeddings of different dimensions or models', () => {
  expect(compare(new Int8Array(64).fill(1), new Int8Array(128).fill(1))).toBeUndefined();
  const face = (modelId: string) =>
    ({ modality: 'face', modelId, dimension: 64, quality: 0, values: new Int8Array(64).fill(9) }) as const;
  expect(comparer.compare(face('a'), face('b'))).toBeUndefined();
  expect(comparer.compare(face('a'), face('a'))).toBe(64 * 81);
});
