/** Learns the candidate vectors: projection, codebook, principal directions. assembly/finger/vector.ts says what for. */
import { Random } from '../../fixtures/random.ts';
import { traitsOf } from '../../src/matching/finger-encoder.ts';
import { CYLINDER_SIZE } from '../../src/matching/finger-model.ts';
import {
  EXPONENTIAL_SIZE,
  readVectorModel,
  VECTOR_AGGREGATE,
  VECTOR_DIRECTIONS,
  VECTOR_SIZE,
  VECTOR_UNIT,
  VECTOR_WORDS,
  writeVectorModel,
  type VectorModel,
} from '../../src/matching/finger-vector-model.ts';
import { addToWords, directionsOf, flattenWords } from '../../src/matching/reference/finger-vector.ts';
import { shippedFingerModel } from '../../src/matching/shipped-model.ts';
import type { LabelledPrint } from '../labelled-prints.ts';
import { learnProjection } from './codes.ts';
import type { Cylinders } from './cylinders.ts';
import { findMates, joinCylinders, restrict, type PreparedSet, type Progress } from './model.ts';
import { principalDirections } from './principal.ts';

const MODEL_NAME = 'minutiae-vector-1';

/** Sharpness of the shares among words, rounds and sample of the codebook, whitening, floor of the quality's weight. */
export const VECTOR_PARAMETERS = {
  seed: 1,
  sharpness: 10,
  rounds: 10,
  sample: 24_000,
  whitening: 0.25,
  qualityFloor: 0.1,
} as const;

/** @param use - which prints may be looked at; the others are as if they were not there */
export function trainVectorModel(
  sets: readonly PreparedSet[],
  use: (print: LabelledPrint) => boolean,
  progress: Progress,
): VectorModel {
  const chosen = sets.map(({ set, cylinders }) => restrict(set, cylinders, use)).filter(({ list }) => list.length > 0);
  const { cylinders, used, bases } = joinCylinders(chosen);
  progress('directions', 0, 4);
  const learned = learnProjection(cylinders, used, findMates(chosen, bases, shippedFingerModel()));
  const columns = Array.from({ length: VECTOR_DIRECTIONS }, (_, e) => learned.projection.getColumn(e));
  const projected = quantiseProjection(cylinders, learned.mean, columns);
  progress('words', 1, 4);
  const zOf = (row: number) => directionsOf(fullRow(cylinders, row), projected);
  const step = Math.max(1, Math.floor(used.length / VECTOR_PARAMETERS.sample));
  const sample = Array.from({ length: Math.floor(used.length / step) }, (_, i) => zOf(used[i * step]));
  const words = learnWords(sample);
  const squares = Int32Array.from({ length: VECTOR_WORDS }, (_, k) => squareOf(words, k));
  const exponential = Int32Array.from({ length: EXPONENTIAL_SIZE }, (_, i) =>
    Math.round(65_535 * Math.exp((-VECTOR_PARAMETERS.sharpness * i) / EXPONENTIAL_SIZE)),
  );
  const quality = qualityWeights();
  progress('principal directions', 2, 4);
  const codebook = { words, squares, exponential };
  const flat = chosen.flatMap(({ list, rowsOf }, s) =>
    list.map(({ template: { minutiae } }, p) => {
      const sums = new Int32Array(VECTOR_AGGREGATE);
      // A print that is too small to be compared has no cylinders.
      if (minutiae.length >= 5) {
        minutiae.forEach((minutia, i) => {
          addToWords(zOf(bases[s] + rowsOf[p] + i), quality[traitsOf(minutia) >> 2], codebook, sums);
        });
      }
      return flattenWords(sums);
    }),
  );
  const principal = quantisePrincipal(flat);
  progress('done', 4, 4);
  const trainedOn = sets.map(({ set: { name, fingers, prints, digest } }) => ({ name, fingers, prints, digest }));
  const description = { name: MODEL_NAME, trainedOn, parameters: { ...VECTOR_PARAMETERS } };
  return readVectorModel(writeVectorModel({ description, ...projected, ...codebook, quality, ...principal }));
}

/** All directions by one scale, as large as thirty-two bits allow: their lengths say how well each tells apart. */
function quantiseProjection({ places }: Cylinders, mean: Float64Array, columns: readonly number[][]) {
  const most = Math.max(...columns.map((column) => column.reduce((sum, value) => sum + Math.abs(value), 0)));
  const scale = 120_000 / most;
  const projection = new Int16Array(VECTOR_DIRECTIONS * CYLINDER_SIZE);
  const means = new Int32Array(VECTOR_DIRECTIONS);
  columns.forEach((column, e) => {
    let offset = 0;
    column.forEach((value, k) => {
      const whole = Math.max(-32_767, Math.min(32_767, Math.round(value * scale)));
      projection[e * CYLINDER_SIZE + places[k]] = whole;
      offset += whole * mean[k];
    });
    means[e] = Math.round(offset);
  });
  return { projection, means };
}

function fullRow({ places, rows }: Cylinders, row: number): Int16Array {
  const roots = new Int16Array(CYLINDER_SIZE);
  places.forEach((place, k) => (roots[place] = rows[row * places.length + k]));
  return roots;
}

/** k-means; a word that nothing is near to stays where it was. */
function learnWords(sample: readonly Int16Array[]): Int16Array {
  const random = new Random(VECTOR_PARAMETERS.seed, 4);
  const words = new Int16Array(VECTOR_AGGREGATE);
  for (let k = 0; k < VECTOR_WORDS; k++) words.set(sample[random.below(sample.length)], k * VECTOR_DIRECTIONS);
  for (let round = 0; round < VECTOR_PARAMETERS.rounds; round++) {
    const sums = new Float64Array(VECTOR_AGGREGATE);
    const counts = new Int32Array(VECTOR_WORDS);
    const squares = Array.from({ length: VECTOR_WORDS }, (_, k) => squareOf(words, k));
    for (const z of sample) {
      let best = 0;
      let most = -Infinity;
      for (let k = 0; k < VECTOR_WORDS; k++) {
        let near = -squares[k];
        for (let e = 0; e < VECTOR_DIRECTIONS; e++) near += 2 * z[e] * words[k * VECTOR_DIRECTIONS + e];
        if (near > most) [most, best] = [near, k];
      }
      counts[best]++;
      for (let e = 0; e < VECTOR_DIRECTIONS; e++) sums[best * VECTOR_DIRECTIONS + e] += z[e];
    }
    sums.forEach((sum, i) => {
      const count = counts[Math.floor(i / VECTOR_DIRECTIONS)];
      if (count > 0) words[i] = Math.round(sum / count);
    });
  }
  return words;
}

function squareOf(words: Int16Array, k: number): number {
  return words
    .subarray(k * VECTOR_DIRECTIONS, (k + 1) * VECTOR_DIRECTIONS)
    .reduce((sum, value) => sum + value * value, 0);
}

/** Full weight when no quality is stated; else it grows from quality 10 to 50 (of 100). */
function qualityWeights(): Int32Array {
  return Int32Array.from({ length: 64 }, (_, steps) => {
    if (steps === 0) return 64;
    const share = ((steps * 100) / 63 - 10) / 40;
    return Math.round(64 * Math.min(1, Math.max(VECTOR_PARAMETERS.qualityFloor, share)));
  });
}

/** Rows as long as thirty-two bits allow; what whitens them is in the scale. */
function quantisePrincipal(flat: readonly Int16Array[]) {
  const { mean, variances, directions: rows } = principalDirections(flat, VECTOR_SIZE, VECTOR_PARAMETERS.seed);
  const directions = new Int16Array(VECTOR_SIZE * VECTOR_AGGREGATE);
  const centre = new Int32Array(VECTOR_SIZE);
  const scale = new Float32Array(VECTOR_SIZE);
  rows.forEach((row, j) => {
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const factor = Math.min(60_000, 32_767 / largest);
    let offset = 0;
    row.forEach((value, i) => {
      const whole = Math.round(value * factor);
      directions[j * VECTOR_AGGREGATE + i] = whole;
      offset += whole * mean[i];
    });
    centre[j] = Math.round(offset);
    scale[j] = 1 / (factor * (variances[j] / VECTOR_UNIT ** 2) ** VECTOR_PARAMETERS.whitening);
  });
  return { directions, centre, scale };
}
