import { FingerBatch } from '../../src/matching/kernels/finger-batch.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import type { FingerModel } from '../../src/matching/model/finger-model.ts';
import { KNOT_COUNT } from '../../src/matching/model/score-terms.ts';
import { areMates, areNonMated, type LabelledPrint } from '../prints/labelled-prints.ts';

/** The alignments of a set's pairs; pairs without an alignment are missing. */
export interface Alignments {
  /** KNOT_COUNT per alignment. */
  readonly masses: Int32Array;
  /** 1: mates, 0: non-mates. */
  readonly labels: Uint8Array;
  /** Weight of each. */
  readonly weights: Float64Array;
  /** Positions of the two prints in the list. */
  readonly pairs: Int32Array;
}

/** Prints of one set, encoded for the kernels. */
export function packPrints(prints: readonly LabelledPrint[], model: FingerModel): FingerBatch {
  const encoder = new FingerEncoder(model);
  return new FingerBatch(
    prints.map(({ template }) => encoder.encode(template)),
    model,
  );
}

/**
 * Compares every two prints of a set that are mates or certain to be non-mates.
 * @param visit - gets the positions of the two, the score, and whether they are mates
 */
export function compareAll(
  prints: readonly LabelledPrint[],
  batch: FingerBatch,
  visit: (a: number, b: number, score: number, mates: boolean) => void,
): void {
  prints.forEach((print, a) => {
    const scores = batch.compare(a, a + 1);
    for (let b = a + 1; b < prints.length; b++) {
      const mates = areMates(print, prints[b]);
      if (mates || areNonMated(print, prints[b])) visit(a, b, scores[b - a - 1], mates);
    }
  });
}

/** The alignments of all pairs of a set. Mates and non-mates have equal total weight. */
export function alignAll(prints: readonly LabelledPrint[], batch: FingerBatch): Alignments {
  const found: { a: number; b: number; mates: boolean }[] = [];
  compareAll(prints, batch, (a, b, score, mates) => {
    if (score > 0) found.push({ a, b, mates });
  });
  const mates = found.filter((pair) => pair.mates).length;
  const masses = new Int32Array(found.length * KNOT_COUNT);
  found.forEach(({ a, b }, row) => masses.set(batch.explain(a, b).masses, row * KNOT_COUNT));
  return {
    masses,
    labels: Uint8Array.from(found, (pair) => (pair.mates ? 1 : 0)),
    weights: Float64Array.from(found, (pair) => (pair.mates ? 1 : mates / (found.length - mates))),
    pairs: Int32Array.from(found.flatMap(({ a, b }) => [a, b])),
  };
}

/** The alignments of several sets joined. Positions of prints are within their own sets. */
export function joinAlignments(sets: readonly Alignments[]): Alignments {
  const masses = new Int32Array(sets.reduce((sum, set) => sum + set.masses.length, 0));
  let at = 0;
  for (const set of sets) {
    masses.set(set.masses, at);
    at += set.masses.length;
  }
  return {
    masses,
    labels: Uint8Array.from(sets.flatMap(({ labels }) => [...labels])),
    weights: Float64Array.from(sets.flatMap(({ weights }) => [...weights])),
    pairs: Int32Array.from(sets.flatMap(({ pairs }) => [...pairs])),
  };
}
