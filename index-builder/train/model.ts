/** Trains a whole finger model: first the codes, from mates that a simpler model finds, then the score. */
import { readFingerModel, writeFingerModel, type FingerModel } from '../../src/matching/model/finger-model.ts';
import { areMates, syntheticPrints, type LabelledPrint, type PrintSet } from '../prints/labelled-prints.ts';
import { learnPlanes, randomPlanes, type Planes } from './codes.ts';
import { alignAll, joinAlignments, packPrints } from './comparisons.ts';
import { makeCylinders, type Cylinders } from './cylinders.ts';
import { CERTAIN_POINTS, learnWeights, plainWeights, type ScoreTraining } from './score.ts';

export const MODEL_NAME = 'minutiae-codes-2';

export interface TrainingParameters extends ScoreTraining {
  readonly seed: number;
  /** Rounds of code training, each with the mates found by the previous codes. */
  readonly rounds: number;
}

/** Chosen by cross-validation on FVC2002 set B and FCJ2020, see docs/model-card.md. */
export const PARAMETERS: TrainingParameters = { seed: 1, rounds: 2, ridge: 0.005, minDeviation: 0.2 };

/** Synthetic people for training. Their seed differs from those of the demo gallery and the benches. */
export const SYNTHETIC = { seed: 0x7a11, impressions: 4 } as const;

/** Number of synthetic people that a model was trained on. */
export function syntheticPeopleOf({ description }: FingerModel): number {
  const name = `synthetic-${SYNTHETIC.seed.toString(16)}`;
  return description.trainedOn.find((set) => set.name === name)?.fingers ?? 0;
}

/** A set of synthetic people for training; none for 0. */
export function syntheticSets(people: number): PrintSet[] {
  return people > 0 ? [syntheticPrints(SYNTHETIC.seed, people, SYNTHETIC.impressions)] : [];
}

/** A set with its cylinders. */
export interface PreparedSet {
  readonly set: PrintSet;
  readonly cylinders: Cylinders;
}

export function prepareSet(set: PrintSet): PreparedSet {
  return { set, cylinders: makeCylinders(set.list) };
}

/** Called with the current step and its progress. */
export type Progress = (step: string, done: number, total: number) => void;

/** @param use - which prints may be used; the others are ignored */
export function trainModel(
  sets: readonly PreparedSet[],
  parameters: TrainingParameters,
  use: (print: LabelledPrint) => boolean,
  progress: Progress,
): FingerModel {
  const chosen = sets.map(({ set, cylinders }) => restrict(set, cylinders, use)).filter(({ list }) => list.length > 0);
  const steps = parameters.rounds + 2;
  progress('codes to begin with', 0, steps);
  let planes = beginWithRandom(chosen, parameters.seed);
  for (let round = 1; round <= parameters.rounds; round++) {
    progress(`codes, round ${round}`, round, steps);
    planes = learnFromMates(chosen, planes, parameters.seed);
  }
  progress('score', steps - 1, steps);
  const plain = assemble(sets, parameters, planes, plainWeights());
  const alignments = chosen.map(({ list }) => alignAll(list, packPrints(list, plain)));
  const model = assemble(sets, parameters, planes, learnWeights(joinAlignments(alignments), parameters));
  progress('done', steps, steps);
  return model;
}

export interface ChosenPrints {
  readonly list: readonly LabelledPrint[];
  /** Rows of each print's cylinders. */
  readonly rowsOf: readonly number[];
  readonly rows: Int32Array;
  readonly cylinders: Cylinders;
}

export function restrict(set: PrintSet, cylinders: Cylinders, use: (print: LabelledPrint) => boolean): ChosenPrints {
  const kept = Array.from(set.list.keys()).filter((i) => use(set.list[i]));
  const { firstRow } = cylinders;
  const rows = kept.flatMap((i) => Array.from({ length: firstRow[i + 1] - firstRow[i] }, (_, k) => firstRow[i] + k));
  return {
    list: kept.map((i) => set.list[i]),
    rowsOf: kept.map((i) => firstRow[i]),
    rows: Int32Array.from(rows),
    cylinders,
  };
}

/** The concatenated cylinders of several sets. */
export function joinCylinders(chosen: readonly ChosenPrints[]) {
  const places = [...new Set(chosen.flatMap(({ cylinders }) => cylinders.places))].sort((a, b) => a - b);
  const count = chosen.reduce((sum, { cylinders }) => sum + cylinders.rows.length / cylinders.places.length, 0);
  const rows = new Int16Array(count * places.length);
  const bases: number[] = [];
  let base = 0;
  for (const { cylinders } of chosen) {
    bases.push(base);
    const columns = cylinders.places.map((place) => places.indexOf(place));
    const width = columns.length;
    const height = cylinders.rows.length / width;
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) rows[(base + r) * places.length + columns[c]] = cylinders.rows[r * width + c];
    }
    base += height;
  }
  const used = Int32Array.from(chosen.flatMap((set, s) => Array.from(set.rows, (row) => bases[s] + row)));
  return { cylinders: { places, rows, firstRow: new Int32Array(0) }, used, bases };
}

/** Codes without any mates: random planes. */
export function beginWithRandom(chosen: readonly ChosenPrints[], seed: number): Planes {
  const { cylinders, used } = joinCylinders(chosen);
  return randomPlanes(cylinders, used, seed);
}

/** Pairs the minutiae of mates by the current codes, and trains codes on the pairs in well-matched impressions. */
export function learnFromMates(chosen: readonly ChosenPrints[], planes: Planes, seed: number): Planes {
  const { cylinders, used, bases } = joinCylinders(chosen);
  const model = assemble([], { ...PARAMETERS, seed }, planes, plainWeights());
  return learnPlanes(cylinders, used, findMates(chosen, bases, model), seed);
}

/**
 * Rows of mated minutiae, two per pair: those that a model pairs in well-matched impressions.
 * @param bases - first row of each set in the joined cylinders
 */
export function findMates(chosen: readonly ChosenPrints[], bases: readonly number[], model: FingerModel): Int32Array {
  const mates: number[] = [];
  chosen.forEach(({ list, rowsOf }, s) => {
    const batch = packPrints(list, model);
    list.forEach((print, a) => {
      const scores = batch.compare(a, a + 1).slice();
      for (let b = a + 1; b < list.length; b++) {
        if (!areMates(print, list[b]) || scores[b - a - 1] < CERTAIN_POINTS) continue;
        for (const { probe, reference } of batch.explain(a, b).pairs) {
          mates.push(bases[s] + rowsOf[a] + probe, bases[s] + rowsOf[b] + reference);
        }
      }
    });
  });
  if (mates.length === 0) throw new Error('the prints hold no two impressions of one finger that are alike');
  return Int32Array.from(mates);
}

/** A model of the trained parts. */
export function assemble(
  sets: readonly PreparedSet[],
  parameters: TrainingParameters,
  { planes, offsets }: Planes,
  weights: Int32Array,
): FingerModel {
  const trainedOn = sets.map(({ set: { name, fingers, prints, digest } }) => ({ name, fingers, prints, digest }));
  const description = { name: MODEL_NAME, trainedOn, parameters: { ...parameters } };
  return readFingerModel(writeFingerModel({ description, planes, offsets, weights }));
}
