import { describe, expect, it } from 'vitest';
import { DirectComparer } from '../../src/matching/workers/direct-comparison.ts';
import { minutiaeOf, type ExplainedComparison } from '../../src/matching/model/explained-comparison.ts';
import { originOf } from '../../src/matching/kernels/finger-encoder.ts';
import { MAX_FINGER_SCORE } from '../../src/matching/kernels/kernels.ts';
import { SCORE_TERMS } from '../../src/matching/model/score-terms.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { garbage, secondImpression, somePrint } from '../prints.ts';

const comparer = new DirectComparer();

function pack(template: FingerTemplate): Uint8Array {
  const packed = comparer.pack(template);
  if (packed?.modality !== 'finger') throw new Error('too few minutiae');
  return packed.packed;
}

function explain(a: FingerTemplate, b: FingerTemplate): ExplainedComparison {
  const explanation = comparer.explainPacked(pack(a), pack(b));
  if (explanation === undefined) throw new Error('not explained');
  return explanation;
}

const seeds = Array.from({ length: 12 }, (_, i) => i + 1);
/** Impressions of one finger, impressions of two fingers, and random templates. */
const comparisons: (readonly [FingerTemplate, FingerTemplate])[] = seeds.flatMap((seed) => [
  [secondImpression(somePrint(seed), 100 + seed, 20 * seed), somePrint(seed)] as const,
  [somePrint(seed), somePrint(50 + seed)] as const,
  [garbage(seed, 30), somePrint(seed)] as const,
]);

describe('the explanation of a finger score', () => {
  it('states the score of the comparison', () => {
    for (const [a, b] of comparisons) expect(explain(a, b).score).toBe(comparer.compare(a, b));
  });

  it('has points for every term, which sum to the score', () => {
    for (const [a, b] of comparisons) {
      const { score, terms, pairs } = explain(a, b);
      expect(terms.map(({ name }) => name)).toEqual(SCORE_TERMS.map(({ name }) => name));
      const sum = terms.reduce((total, { points }) => total + points, 0);
      const bounded = Math.max(0, Math.min(MAX_FINGER_SCORE, sum));
      if (pairs.length > 0) expect(Math.abs(score - bounded)).toBeLessThanOrEqual(1);
    }
  });

  it('pairs each minutia at most once, and shows it as in the template', () => {
    for (const [a, b] of comparisons) {
      const { pairs, alignment } = explain(a, b);
      expect(alignment === undefined).toBe(pairs.length === 0);
      for (const [template, side] of [
        [a, 'probe'],
        [b, 'reference'],
      ] as const) {
        const paired = pairs.map((pair) => pair[side]);
        expect(new Set(paired.map(({ index }) => index)).size).toBe(pairs.length);
        const origin = originOf(template);
        for (const { index, x, y, angle, type } of paired) {
          const minutia = template.minutiae[index];
          expect(minutia).toMatchObject({ x: x + origin.x, y: y + origin.y, angle, type });
        }
      }
    }
  });

  it('moves each probe minutia close to its mate', () => {
    for (const seed of seeds) {
      const { pairs, alignment } = explain(secondImpression(somePrint(seed), seed, 20 * seed, 0.5), somePrint(seed));
      expect(pairs.length).toBeGreaterThan(15);
      if (alignment === undefined) throw new Error('no alignment');
      const [p, q, r, s, t, u] = alignment;
      const distances = pairs.map(({ probe, reference }) =>
        Math.hypot(p * probe.x + q * probe.y + r - reference.x, s * probe.x + t * probe.y + u - reference.y),
      );
      expect(Math.max(...distances)).toBeLessThan(30);
      expect(distances.reduce((sum, distance) => sum + distance, 0) / distances.length).toBeLessThan(5);
    }
  });

  it('is mirrored when probe and reference are exchanged', () => {
    for (const [a, b] of comparisons) {
      const [there, back] = [explain(a, b), explain(b, a)];
      expect([back.score, back.terms]).toEqual([there.score, there.terms]);
      const mirrored = back.pairs.map(({ probe, reference }) => ({ probe: reference, reference: probe }));
      expect(new Set(mirrored.map((pair) => JSON.stringify(pair)))).toEqual(
        new Set(there.pairs.map((pair) => JSON.stringify(pair))),
      );
      if (there.alignment === undefined || back.alignment === undefined) continue;
      for (const [x, y] of [
        [0, 0],
        [300, 0],
        [0, 400],
      ] as const) {
        const [p, q, r, s, t, u] = there.alignment;
        const [moved, lifted] = [p * x + q * y + r, s * x + t * y + u];
        const [g, h, i, j, k, l] = back.alignment;
        expect(g * moved + h * lifted + i).toBeCloseTo(x, 4);
        expect(j * moved + k * lifted + l).toBeCloseTo(y, 4);
      }
    }
  });

  it('reads every minutia of a packed finger', () => {
    const template = somePrint(3, 37);
    const origin = originOf(template);
    expect(minutiaeOf(pack(template))).toEqual(
      template.minutiae.map(({ x, y, angle, type }, index) => ({
        index,
        x: x - origin.x,
        y: y - origin.y,
        angle,
        type,
      })),
    );
  });
});
