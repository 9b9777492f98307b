/**
 * One fold pair of the ablations: trains without folds a and b, and compares the prints of a with those of b.
 *
 * Expensive steps are done once. Codes are learned in one chain of rounds. The terms of the comparisons are kept while
 * the alignments do not change: leaving out a term then only takes one training of the score.
 */
import { areMates, areNonMated, type LabelledPrint } from '../../index-builder/prints/labelled-prints.ts';
import { alignAll, joinAlignments, packPrints } from '../../index-builder/train/comparisons.ts';
import { foldsOf, type FoldTask } from '../../index-builder/train/cross-validation.ts';
import type { Planes } from '../../index-builder/train/codes.ts';
import {
  assemble,
  beginWithRandom,
  learnFromMates,
  restrict,
  type ChosenPrints,
  type PreparedSet,
} from '../../index-builder/train/model.ts';
import { learnWeights, plainWeights } from '../../index-builder/train/score.ts';
import type { TrainingPrints } from '../../index-builder/train/training-prints.ts';
import { KNOT_COUNT, WEIGHTS_PER_POINT, WHOLE } from '../../src/matching/model/score-terms.ts';
import type { FingerModel } from '../../src/matching/model/finger-model.ts';
import { VARIANTS, type Codes, type Variant } from './variants.ts';

/** Scores of one set's comparisons across the two folds, in the same order for every variant. */
export interface FoldScores {
  readonly mated: Int32Array;
  readonly nonMated: Int32Array;
}

const NO_ALIGNMENT = -1;

/** Comparisons to score. */
interface Trial {
  readonly mates: Uint8Array;
  /** Row of the masses, or NO_ALIGNMENT. */
  readonly rows: Int32Array;
  readonly masses: Int32Array;
}

/** @returns scores by variant and set, both in order */
export function ablateFolds(
  { real, synthetic }: TrainingPrints,
  { parameters, folds, a, b }: Omit<FoldTask, 'source'>,
  variants: readonly Variant[] = VARIANTS,
): FoldScores[][] {
  const foldOf = foldsOf(real, folds);
  const isKnown = (print: LabelledPrint) => foldOf(print) !== a && foldOf(print) !== b;
  const chosenReal = choose(real, isKnown);
  const chosen = [...chosenReal, ...choose(synthetic, () => true)];
  const planesOf = chainOfCodes(chosen, chosenReal, parameters.seed, parameters.rounds);
  const results = new Map<Variant, FoldScores[]>();
  for (const codes of new Set(variants.map((variant) => variant.codes))) {
    const model = assemble([], parameters, planesOf(codes), plainWeights());
    const alignments = chosen.map(({ list }) => alignAll(list, packPrints(list, model)));
    const trials = real.map(({ set: { list } }) => {
      const ones = list.filter((print) => foldOf(print) === a);
      return alignAcross(ones, a === b ? undefined : list.filter((print) => foldOf(print) === b), model);
    });
    for (const variant of variants.filter((one) => one.codes === codes)) {
      const used = variant.synthetic ? alignments : alignments.slice(0, chosenReal.length);
      const weights = learnWeights(joinAlignments(used), parameters, variant.shape);
      results.set(
        variant,
        trials.map((trial) => scoreTrial(trial, weights)),
      );
    }
  }
  return variants.map((variant) => results.get(variant) ?? []);
}

function choose(sets: readonly PreparedSet[], use: (print: LabelledPrint) => boolean): ChosenPrints[] {
  return sets.map(({ set, cylinders }) => restrict(set, cylinders, use)).filter(({ list }) => list.length > 0);
}

/** Learns codes on first use. */
function chainOfCodes(
  chosen: readonly ChosenPrints[],
  chosenReal: readonly ChosenPrints[],
  seed: number,
  rounds: number,
): (codes: Codes) => Planes {
  const chain = [beginWithRandom(chosen, seed)];
  const upTo = (round: number) => {
    while (chain.length <= round) chain.push(learnFromMates(chosen, chain[chain.length - 1], seed));
    return chain[round];
  };
  return (codes) => {
    if (codes === 'random') return chain[0];
    if (codes === 'one-round-less') return upTo(rounds - 1);
    if (codes === 'learned') return upTo(rounds);
    let planes = beginWithRandom(chosenReal, seed);
    for (let round = 0; round < rounds; round++) planes = learnFromMates(chosenReal, planes, seed);
    return planes;
  };
}

/** Compares the prints of one fold with the others; without others, all pairs of the fold. */
function alignAcross(
  ones: readonly LabelledPrint[],
  others: readonly LabelledPrint[] | undefined,
  model: FingerModel,
): Trial {
  const prints = others === undefined ? ones : [...ones, ...others];
  const batch = packPrints(prints, model);
  const [mates, rows, masses]: [number[], number[], Int32Array[]] = [[], [], []];
  ones.forEach((print, p) => {
    const from = others === undefined ? p + 1 : ones.length;
    const scores = batch.compare(p, from).slice();
    scores.forEach((score, i) => {
      const other = prints[from + i];
      const mated = areMates(print, other);
      if (!mated && !areNonMated(print, other)) return;
      mates.push(mated ? 1 : 0);
      rows.push(score > 0 ? masses.length : NO_ALIGNMENT);
      if (score > 0) masses.push(batch.explain(p, from + i).masses);
    });
  });
  const joined = new Int32Array(masses.length * KNOT_COUNT);
  masses.forEach((row, i) => joined.set(row, i * KNOT_COUNT));
  return { mates: Uint8Array.from(mates), rows: Int32Array.from(rows), masses: joined };
}

function scoreTrial({ mates, rows, masses }: Trial, weights: Int32Array): FoldScores {
  const scores = rows.map((row) =>
    row < 0 ? 0 : scoreOf(masses.subarray(row * KNOT_COUNT, (row + 1) * KNOT_COUNT), weights),
  );
  return { mated: scores.filter((_, i) => mates[i] === 1), nonMated: scores.filter((_, i) => mates[i] === 0) };
}

const MAX_SCORE = 65_535;

/** The score of an alignment, exactly that of assembly/finger/score.ts: doubles hold its sums exactly. */
export function scoreOf(masses: Int32Array, weights: Int32Array): number {
  let sum = 0;
  for (let k = 0; k < KNOT_COUNT; k++) sum += masses[k] * weights[k];
  return Math.min(MAX_SCORE, Math.max(1, Math.floor(sum / (WHOLE * WEIGHTS_PER_POINT))));
}
