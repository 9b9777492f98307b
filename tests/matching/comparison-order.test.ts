import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MEAN_ABOVE_ZERO } from '../../src/matching/kernels/similarity.ts';
import { orderComparisons, type ChosenReferences } from '../../src/matching/workers/comparison-order.ts';
import { REMOVED_SIMILARITY } from '../../src/matching/kernels/kernels.ts';

const ORDINALS = 30;
const WANTED = 10;

interface Looked {
  readonly instance: number;
  readonly owner: number;
  readonly similarity: number;
}

/** A segment for each instance, as far as its references belong to the subjects. */
function chosenOf(looked: readonly Looked[], subjects: Uint32Array, face = -1): ChosenReferences[] {
  return [...new Set(looked.map(({ instance }) => instance))].map((instance) => {
    const own = looked.filter((one) => one.instance === instance);
    const indices = Uint32Array.from(own.keys()).filter((i) => subjects.includes(own[i].owner));
    return {
      instance,
      isFace: instance === face,
      indices,
      owners: Uint32Array.from(own, ({ owner }) => owner),
      similarities: Int16Array.from(indices, (i) => own[i].similarity),
    };
  });
}

/** The references of a stage, as `instance owner`. */
function named(references: readonly Uint32Array[], chosen: readonly ChosenReferences[]): string[] {
  return chosen.flatMap(({ instance, owners }, p) => Array.from(references[p], (i) => `${instance} ${owners[i]}`));
}

/** The rank by the vectors of each subject that has any. */
function ranksOf(looked: readonly Looked[], subjects: readonly number[]): Map<number, number> {
  const ranks = new Map<number, number>();
  for (const subject of subjects) {
    const best = new Map<number, number>();
    for (const { instance, owner, similarity } of looked)
      if (owner === subject && similarity !== REMOVED_SIMILARITY)
        best.set(instance, Math.max(similarity, best.get(instance) ?? -Infinity));
    const sum = [...best.values()].reduce(
      (total, value) => total + Math.max(0, value) + 2 ** -32 * Math.min(0, value),
      0,
    );
    if (best.size > 0) ranks.set(subject, (sum - best.size * MEAN_ABOVE_ZERO) / Math.sqrt(best.size));
  }
  return ranks;
}

it('keeps the subjects of the highest ranks, each scanned reference of theirs once, and a first one for each', () => {
  const looked = fc.record({
    instance: fc.nat(3),
    owner: fc.nat(ORDINALS - 1),
    similarity: fc.oneof(fc.integer({ min: -32_767, max: 32_767 }), fc.constant(REMOVED_SIMILARITY)),
  });
  const chosen = fc.uniqueArray(fc.nat(ORDINALS - 1), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(looked, { minLength: 1 }), chosen, fc.integer({ min: 1, max: 40 }), (all, some, wanted) => {
      const subjects = Uint32Array.from(some).sort();
      const references = chosenOf(all, subjects);
      const { subjects: kept, order } = orderComparisons(subjects, references, wanted);
      const ranks = ranksOf(all, some);
      const least = [...ranks.values()].sort((a, b) => b - a)[Math.min(wanted, ranks.size) - 1] ?? Infinity;
      const isKept = (owner: number) => (ranks.get(owner) ?? -Infinity) >= least;
      expect(kept).toBe(some.filter(isKept).length);
      const first = [...named(order.certain, references), ...named(order.first, references)];
      const rest = named(order.rest, references);
      const expected = all.filter(({ owner, similarity }) => isKept(owner) && similarity !== REMOVED_SIMILARITY);
      expect([...first, ...rest].sort()).toEqual(expected.map(({ instance, owner }) => `${instance} ${owner}`).sort());
      for (const { owner } of expected) expect(first.some((name) => name.endsWith(` ${owner}`))).toBe(true);
      if (ranks.size < wanted) expect([...named(order.first, references), ...rest]).toEqual([]);
    }),
  );
});

it('puts the most similar fingers first, and all fingers of the most similar subjects', () => {
  // Odd subjects are the most similar; of ten wanted subjects, two are compared unconditionally.
  const looked = Array.from({ length: 12 }, (_, owner) => [
    { instance: 0, owner, similarity: 1000 - owner },
    { instance: 1, owner, similarity: owner % 2 === 0 ? 900 - owner : 1100 - owner },
  ]).flat();
  const subjects = Uint32Array.from({ length: 12 }, (_, i) => i);
  const task = chosenOf(looked, subjects);
  const { certain, first, rest } = orderComparisons(subjects, task, WANTED).order;
  const later = named(rest, task);
  expect(named(certain, task).sort()).toEqual(['0 1', '0 3', '1 1', '1 3']);
  expect(named(first, task)).toHaveLength(8);
  expect(later).toHaveLength(8);
  for (const owner of [0, 2, 4, 6]) expect(later).toContain(`1 ${owner}`);
  for (const owner of [5, 7, 9, 11]) expect(later).toContain(`0 ${owner}`);
});

it('always puts the face first, and does not count it as a finger', () => {
  const looked = Array.from({ length: 12 }, (_, owner) => [
    { instance: 0, owner, similarity: 900 - owner },
    { instance: 1, owner, similarity: 800 - owner },
    { instance: 2, owner, similarity: owner % 2 === 0 ? 1000 : -1000 },
  ]).flat();
  const subjects = Uint32Array.from({ length: 12 }, (_, i) => i);
  const task = chosenOf(looked, subjects, 2);
  const { rest } = orderComparisons(subjects, task, WANTED).order;
  const later = named(rest, task);
  expect(later).toHaveLength(8);
  expect(later.every((name) => name.startsWith('1 '))).toBe(true);
});

it('puts all references first when there is one finger', () => {
  const looked = Array.from({ length: 20 }, (_, owner) => ({ instance: 0, owner, similarity: 50 * owner }));
  const subjects = Uint32Array.from({ length: 20 }, (_, i) => i);
  const task = chosenOf(looked, subjects);
  const { certain, first, rest } = orderComparisons(subjects, task, 20).order;
  expect(named(certain, task)).toHaveLength(4);
  expect(named(first, task)).toHaveLength(16);
  expect(named(rest, task)).toEqual([]);
});

it('keeps as few of the subjects that a probe is dissimilar to as of others', () => {
  const looked = Array.from({ length: 20 }, (_, owner) => ({ instance: 0, owner, similarity: 30 * (owner - 20) }));
  const subjects = Uint32Array.from({ length: 20 }, (_, i) => i);
  const { subjects: kept, order } = orderComparisons(subjects, chosenOf(looked, subjects), 5);
  expect(kept).toBe(5);
  expect([...order.certain[0], ...order.first[0]].sort((a, b) => a - b)).toEqual([15, 16, 17, 18, 19]);
});
