/** Trains the model of the candidate vectors. assembly/finger/vector.ts describes their purpose. */
import {
  PAIR_CELLS,
  QUALITIES,
  RANKS,
  readVectorModel,
  ROOTS_UNIT,
  VECTOR_SIZE,
  writeVectorModel,
  type VectorModel,
  type VectorTables,
} from '../../src/matching/model/finger-vector-model.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { VectorEncoder } from '../../src/matching/kernels/finger-vector.ts';
import { pairRoots } from '../../src/matching/oracle/finger-vector.ts';
import type { LabelledPrint, PrintSet } from '../prints/labelled-prints.ts';
import { learnCodeBook } from './code-book.ts';
import { linearDiscriminants, type ClassOfRows } from './discriminants.ts';
import type { Progress } from './model.ts';

const MODEL_NAME = 'minutiae-pairs-1';

/**
 * Chosen by cross-validation on FVC2002 set B and FCJ2020, see docs/model-card.md.
 * - `rankScale`: number of nearer neighbours that halves the weight of a pair
 * - `qualityFloor`: weight of the poorest minutia relative to the best
 * - `shrinkage`: see linearDiscriminants
 * - `realWeight`: weight of a real print relative to a synthetic one, of which there are more
 * - `flattening`: power of the ratio of variances that a direction's length is divided by
 */
export const VECTOR_PARAMETERS = {
  seed: 1,
  rankScale: 4,
  qualityFloor: 0.1,
  shrinkage: 0.25,
  realWeight: 2,
  flattening: 0.1,
} as const;

/** A set with the roots of its histograms; a print that cannot be compared has none. */
export interface SetOfRoots {
  readonly set: PrintSet;
  readonly roots: readonly (Int16Array | undefined)[];
  readonly weight: number;
}

export function prepareRoots(set: PrintSet, kind: 'real' | 'synthetic'): SetOfRoots {
  const weights = { quality: qualityWeights(), ranks: rankWeights() };
  return {
    set,
    roots: set.list.map(({ template }) => pairRoots(template, weights)),
    weight: kind === 'real' ? VECTOR_PARAMETERS.realWeight : 1,
  };
}

/**
 * @param use - which prints may be used; the others are ignored
 * @throws Error when no finger has two prints
 */
export function trainVectorModel(
  sets: readonly SetOfRoots[],
  use: (print: LabelledPrint) => boolean,
  progress: Progress,
): VectorModel {
  progress('directions', 0, 1);
  const classes = sets.flatMap((set) => classesOf(set, use));
  if (classes.every(({ rows }) => rows.length < 2)) throw new Error('no finger has two prints');
  const { seed, shrinkage } = VECTOR_PARAMETERS;
  const learned = quantise(linearDiscriminants(classes, VECTOR_SIZE, shrinkage, seed));
  progress('done', 1, 1);
  const trainedOn = sets.map(({ set: { name, fingers, prints, digest } }) => ({ name, fingers, prints, digest }));
  const description = { name: MODEL_NAME, trainedOn, parameters: { ...VECTOR_PARAMETERS } };
  const tables = { description, quality: qualityWeights(), ranks: rankWeights(), ...learned };
  const codeBook = learnCodeBook(vectorsOf(sets, use, tables), seed);
  return readVectorModel(writeVectorModel({ ...tables, codeBook }));
}

/** The candidate vectors of all prints that can be compared. */
function vectorsOf(
  sets: readonly SetOfRoots[],
  use: (print: LabelledPrint) => boolean,
  tables: VectorTables,
): Int8Array[] {
  const [fingers, vectors] = [new FingerEncoder(), new VectorEncoder(tables)];
  return sets.flatMap(({ set }) =>
    set.list.filter(use).flatMap(({ template }) => {
      const packed = fingers.encode(template);
      return packed === undefined ? [] : [vectors.encode(packed)];
    }),
  );
}

/** Each finger of a set is a class. */
function classesOf({ set, roots, weight }: SetOfRoots, use: (print: LabelledPrint) => boolean): ClassOfRows[] {
  const fingers = new Map<string, Float64Array[]>();
  set.list.forEach((print, i) => {
    const row = roots[i];
    if (row === undefined || !use(print)) return;
    const rows = fingers.get(print.finger) ?? [];
    rows.push(Float64Array.from(row, (value) => value / ROOTS_UNIT));
    fingers.set(print.finger, rows);
  });
  return Array.from(fingers.values(), (rows) => ({ rows, weight }));
}

/** Full weight when no quality is stated; otherwise it grows from quality 10 to 50 (of 100). */
function qualityWeights(): Int32Array {
  return Int32Array.from({ length: QUALITIES }, (_, steps) => {
    if (steps === 0) return 64;
    const share = ((steps * 100) / 63 - 10) / 40;
    return Math.round(64 * Math.min(1, Math.max(VECTOR_PARAMETERS.qualityFloor, share)));
  });
}

function rankWeights(): Int32Array {
  return Int32Array.from({ length: RANKS }, (_, rank) =>
    Math.round(256 / (1 + (rank / VECTOR_PARAMETERS.rankScale) ** 2)),
  );
}

/** Rows scaled as far as thirty-two bits allow; the weight of a direction is in the scale. */
function quantise({ mean, ratios, directions: rows }: ReturnType<typeof linearDiscriminants>) {
  const directions = new Int16Array(VECTOR_SIZE * PAIR_CELLS);
  const centre = new Int32Array(VECTOR_SIZE);
  const scale = new Float32Array(VECTOR_SIZE);
  rows.forEach((row, j) => {
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const factor = Math.min(60_000 / length, 32_767 / largest);
    let offset = 0;
    row.forEach((value, i) => {
      const whole = Math.round(value * factor);
      directions[j * PAIR_CELLS + i] = whole;
      offset += whole * mean[i] * ROOTS_UNIT;
    });
    centre[j] = Math.round(offset);
    // The share of a direction's variance between fingers.
    const telling = Math.sqrt(Math.max(ratios[j] - 1, 0.01) / ratios[j]);
    scale[j] = telling / (factor * ratios[j] ** VECTOR_PARAMETERS.flattening);
  });
  return { directions, centre, scale };
}
