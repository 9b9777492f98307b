import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectComparer } from '../../src/matching/direct-comparison.ts';
import {
  instantiateKernels,
  KERNEL_STATIC_BYTES,
  REMOVED_SCORE,
  type KernelBuild,
} from '../../src/matching/kernels.ts';
import { compareFacesReference } from '../../src/matching/reference/face-comparison.ts';
import { buildCases } from './builds.ts';

const comparer = new DirectComparer();

function compare(a: Int8Array, b: Int8Array, by = comparer): number | undefined {
  const probe = (values: Int8Array) =>
    ({ modality: 'face', packed: new Uint8Array(values.buffer), dimension: values.length }) as const;
  return by.comparePacked(probe(a), probe(b));
}

const dimension = fc.integer({ min: 4, max: 128 }).map((n) => n * 16);
const vector = (size: number) => fc.int8Array({ minLength: size, maxLength: size, min: -127, max: 127 });

/** Faces in one memory after a probe, compared in one call; undefined: removed. */
function compareMany(build: KernelBuild, faces: readonly (Int8Array | undefined)[], probe: Int8Array): number[] {
  const size = probe.length;
  const [directory, scores] = [KERNEL_STATIC_BYTES, KERNEL_STATIC_BYTES + 256];
  const start = KERNEL_STATIC_BYTES + 1024;
  const pages = Math.ceil((start + (faces.length + 1) * size) / 65_536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const kernels = instantiateKernels(memory, undefined, build);
  new Int8Array(memory.buffer, start, size).set(probe);
  faces.forEach((face, i) => {
    const address = start + (i + 1) * size;
    if (face) new Int8Array(memory.buffer, address, size).set(face);
    new Uint32Array(memory.buffer, directory, faces.length)[i] = face ? address / 16 : 0;
  });
  const written = new Int32Array(memory.buffer, scores, faces.length + 1).fill(77);
  kernels.compareFaces(start, size, directory, faces.length, scores);
  expect(written[faces.length], 'nothing is written past the last score').toBe(77);
  return [...written.subarray(0, faces.length)];
}

describe.each(buildCases)('the face kernel, $title', ({ build, skipped }) => {
  if (skipped) return it.skip('does not run here');
  const by = new DirectComparer(build);

  it('is the inner product of its reference for every dimension', () => {
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

  it('compares any number of references in a call, removed ones among them', () => {
    const removable = (size: number) => fc.option(vector(size), { nil: undefined });
    const sets = fc
      .constantFrom(64, 80, 512)
      .chain((size) => fc.tuple(vector(size), fc.array(removable(size), { maxLength: 7 })));
    fc.assert(
      fc.property(sets, ([probe, faces]) => {
        const expected = faces.map((face) => (face ? compareFacesReference(probe, face) : REMOVED_SCORE));
        expect(compareMany(build, faces, probe)).toEqual(expected);
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
