import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Segment } from '../../src/gallery/segment.ts';
import { orderComparisons } from '../../src/matching/workers/comparison-order.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels/kernels.ts';
import type { ShortlistRequest } from '../../src/matching/workers/shortlister.ts';

const ORDINALS = 30;
const WANTED = 10;

interface Looked {
  readonly instance: number;
  readonly owner: number;
  readonly similarity: number;
}

/** A part for each instance. */
function request(looked: readonly Looked[], wanted = WANTED, face = -1): ShortlistRequest {
  const similarities = new SharedArrayBuffer(looked.length * 2);
  let offset = 0;
  const parts = [...new Set(looked.map(({ instance }) => instance))].map((instance) => {
    const own = looked.filter((one) => one.instance === instance);
    const segment = new Segment(own.length, 16, 16);
    own.forEach(({ owner, similarity }, i) => {
      segment.append(new Uint8Array(16), owner);
      new Int16Array(similarities)[offset + i] = similarity;
    });
    offset += own.length;
    return {
      instance,
      segment: segment.handle,
      count: own.length,
      offset: offset - own.length,
      face: instance === face ? { modelId: 'model', dimension: 512 } : undefined,
      rates: undefined,
    };
  });
  return { parts, similarities, ordinals: ORDINALS, wanted, by: 'vector', least: 0 };
}

/** The references of an order, as `instance owner`. */
function named(references: readonly Uint32Array[], { parts }: ShortlistRequest): string[] {
  return parts.flatMap(({ instance, segment: { memory, layout }, count }, p) =>
    Array.from(references[p], (i) => `${instance} ${new Uint32Array(memory.buffer, layout.ownersAddress, count)[i]}`),
  );
}

it('contains each scanned reference of the subjects once, and a first one for each subject', () => {
  const looked = fc.record({
    instance: fc.nat(3),
    owner: fc.nat(ORDINALS - 1),
    similarity: fc.oneof(fc.integer({ min: -32_767, max: 32_767 }), fc.constant(REMOVED_SIMILARITY)),
  });
  const chosen = fc.uniqueArray(fc.nat(ORDINALS - 1), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(looked, { minLength: 1 }), chosen, fc.integer({ min: 1, max: 40 }), (all, some, wanted) => {
      const subjects = Uint32Array.from(some).sort();
      const task = request(all, wanted);
      const order = orderComparisons(subjects, task);
      const [first, rest] = [named(order.first, task), named(order.rest, task)];
      const expected = all.filter(({ owner, similarity }) => some.includes(owner) && similarity !== REMOVED_SIMILARITY);
      expect([...first, ...rest].sort()).toEqual(expected.map(({ instance, owner }) => `${instance} ${owner}`).sort());
      for (const { owner } of expected) expect(first.some((name) => name.endsWith(` ${owner}`))).toBe(true);
      if (some.length < wanted) expect(rest).toEqual([]);
    }),
  );
});

it('puts the most similar fingers first, and all fingers of the most similar subjects', () => {
  // Subject 0 is the most similar; of ten wanted subjects, two are compared unconditionally.
  const looked = Array.from({ length: 12 }, (_, owner) => [
    { instance: 0, owner, similarity: 1000 - owner },
    { instance: 1, owner, similarity: owner % 2 === 0 ? 900 - owner : 1100 - owner },
  ]).flat();
  const task = request(looked);
  const { first, rest } = orderComparisons(
    Uint32Array.from({ length: 12 }, (_, i) => i),
    task,
  );
  const [at, later] = [named(first, task), named(rest, task)];
  expect(at).toEqual(expect.arrayContaining(['0 1', '1 1', '0 3', '1 3']));
  expect(later).toHaveLength(10);
  for (const owner of [0, 2, 4, 6, 8, 10]) expect(later).toContain(`1 ${owner}`);
  for (const owner of [5, 7, 9, 11]) expect(later).toContain(`0 ${owner}`);
});

it('always puts the face first, and does not count it as a finger', () => {
  const looked = Array.from({ length: 12 }, (_, owner) => [
    { instance: 0, owner, similarity: 900 - owner },
    { instance: 1, owner, similarity: 800 - owner },
    { instance: 2, owner, similarity: owner % 2 === 0 ? 1000 : -1000 },
  ]).flat();
  const task = request(looked, WANTED, 2);
  const { rest } = orderComparisons(
    Uint32Array.from({ length: 12 }, (_, i) => i),
    task,
  );
  const later = named(rest, task);
  expect(later).toHaveLength(10);
  expect(later.every((name) => name.startsWith('1 '))).toBe(true);
});

it('puts all references first when there is one finger', () => {
  const looked = Array.from({ length: 20 }, (_, owner) => ({ instance: 0, owner, similarity: 50 * owner }));
  const task = request(looked);
  const { first, rest } = orderComparisons(
    Uint32Array.from({ length: 20 }, (_, i) => i),
    task,
  );
  expect(named(first, task)).toHaveLength(20);
  expect(named(rest, task)).toEqual([]);
});
