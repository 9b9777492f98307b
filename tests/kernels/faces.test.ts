import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DirectComparer } from '../../src/matching/direct-comparison.ts';
import { compareFacesReference } from '../../src/matching/reference/face-comparison.ts';

const comparer = new DirectComparer();

function compare(a: Int8Array, b: Int8Array): number | undefined {
  const probe = (values: Int8Array) =>
    ({ modality: 'face', packed: new Uint8Array(values.buffer), dimension: values.length }) as const;
  return comparer.comparePacked(probe(a), probe(b));
}

const dimension = fc.integer({ min: 4, max: 128 }).map((n) => n * 16);
const vector = (size: number) => fc.int8Array({ minLength: size, maxLength: size, min: -127, max: 127 });

it('is the inner product of its reference for every dimension', () => {
  const pairs = dimension.chain((size) => fc.tuple(vector(size), vector(size)));
  fc.assert(fc.property(pairs, ([a, b]) => void expect(compare(a, b)).toBe(compareFacesReference(a, b))));
});

it('does not overflow at the ends of the range', () => {
  for (const [x, y] of [
    [127, 127],
    [-127, -127],
    [127, -127],
  ] as const) {
    const a = new Int8Array(2048).fill(x);
    const b = new Int8Array(2048).fill(y);
    expect(compare(a, b)).toBe(2048 * x * y);
  }
});

it('does not compare embeddings of different dimensions or models', () => {
  expect(compare(new Int8Array(64).fill(1), new Int8Array(128).fill(1))).toBeUndefined();
  const face = (modelId: string) =>
    ({ modality: 'face', modelId, dimension: 64, quality: 0, values: new Int8Array(64).fill(9) }) as const;
  expect(comparer.compare(face('a'), face('b'))).toBeUndefined();
  expect(comparer.compare(face('a'), face('a'))).toBe(64 * 81);
});
