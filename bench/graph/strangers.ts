/** Embeddings of synthetic people, distributed like those of real people. */
import { Presets, SingleBar } from 'cli-progress';
import { CholeskyDecomposition } from 'ml-matrix';
import { Random } from '../../fixtures/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { meanProducts } from '../../src/matching/kernels/mean-products.ts';

/** Share of the mean variance: keeps the covariance of few people positive definite. */
const RIDGE = 1e-6;
const PER_STEP = 1000;

/**
 * Draws from a Gaussian with the mean and the covariance of `real`. Deterministic: a smaller count gives a prefix of a
 * larger one.
 * @param real - one embedding of each person
 * @param quantise - converts an embedding of any length to its stored form
 * @returns one row for each
 */
export function drawStrangers(
  real: readonly Float32Array[],
  count: number,
  quantise: (embedding: Float32Array) => Int8Array,
): Int8Array {
  const dimension = real[0].length;
  const mean = new Float64Array(dimension);
  for (const embedding of real) for (let k = 0; k < dimension; k++) mean[k] += embedding[k] / real.length;
  const covariance = meanProducts(real, mean);
  const ridge = (RIDGE * covariance.trace()) / dimension;
  for (let k = 0; k < dimension; k++) covariance.set(k, k, covariance.get(k, k) + ridge);
  const lower = new CholeskyDecomposition(covariance).lowerTriangularMatrix.to2DArray();
  const factor = lower.map((row) => Float64Array.from(row));
  const strangers = new Int8Array(count * dimension);
  const drawn = new Float64Array(dimension);
  const bar = new SingleBar({ format: 'strangers {bar} {value}/{total} {duration_formatted}' }, Presets.shades_classic);
  bar.start(count, 0);
  for (let stranger = 0; stranger < count; stranger++) {
    const random = new Random(SEEDS.strangers, stranger);
    for (let k = 0; k < dimension; k++) drawn[k] = random.normal();
    const embedding = Float32Array.from(factor, (row, k) => {
      let sum = mean[k];
      for (let j = 0; j <= k; j++) sum += row[j] * drawn[j];
      return sum;
    });
    strangers.set(quantise(embedding), stranger * dimension);
    if ((stranger + 1) % PER_STEP === 0) bar.update(stranger + 1);
  }
  bar.stop();
  return strangers;
}
