/** Embeddings of synthetic people, distributed like those of real people. */
import { Presets, SingleBar } from 'cli-progress';
import { CholeskyDecomposition } from 'ml-matrix';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { meanProducts } from '../../src/matching/kernels/mean-products.ts';

/**
 * `gaussian`: the mean and the covariance of real people. `mixture`: around real people who are not searched; their
 * nearest neighbours are as near as those of real people, which a Gaussian's are not. `twins`: the same around all real
 * people, so that those searched have synthetic doubles.
 */
export const STRANGER_MODELS = ['gaussian', 'mixture', 'twins'] as const;
export type StrangerModel = (typeof STRANGER_MODELS)[number];

/** One embedding of each real person, and whether the person is searched. */
export interface RealPerson {
  readonly embedding: Float32Array;
  readonly isSearched: boolean;
}

/** Share of the mean variance: keeps the covariance of few people positive definite. */
const RIDGE = 1e-6;
const PER_STEP = 1000;
/** Of `mixture` and `twins`: the weights of the person, of the directions to neighbours, and of the Gaussian. */
const OF_PERSON = 0.55;
const OF_NEIGHBOURS = 0.6;
const OF_GAUSSIAN = 0.55;
/** Neighbours of a person, and those that one stranger is moved towards. */
const NEIGHBOURS = 64;
const PICKED = 8;

/**
 * Draws strangers. Deterministic: a smaller count gives a prefix of a larger one.
 * @param quantise - converts an embedding of any length to its stored form
 * @returns one row for each
 */
export function drawStrangers(
  people: readonly RealPerson[],
  count: number,
  quantise: (embedding: Float32Array) => Int8Array,
  model: StrangerModel = 'gaussian',
): Int8Array {
  const dimension = people[0].embedding.length;
  const draw = model === 'gaussian' ? gaussianOf(people) : mixtureOf(people, model === 'twins');
  const strangers = new Int8Array(count * dimension);
  const bar = new SingleBar({ format: 'strangers {bar} {value}/{total} {duration_formatted}' }, Presets.shades_classic);
  bar.start(count, 0);
  for (let stranger = 0; stranger < count; stranger++) {
    strangers.set(quantise(draw(new Random(SEEDS.strangers, stranger))), stranger * dimension);
    if ((stranger + 1) % PER_STEP === 0) bar.update(stranger + 1);
  }
  bar.stop();
  return strangers;
}

type Draw = (random: Random) => Float32Array;

function gaussianOf(people: readonly RealPerson[]): Draw {
  const real = people.map(({ embedding }) => embedding);
  const mean = meanOf(real);
  const dimension = mean.length;
  const covariance = meanProducts(real, mean);
  const ridge = (RIDGE * covariance.trace()) / dimension;
  for (let k = 0; k < dimension; k++) covariance.set(k, k, covariance.get(k, k) + ridge);
  const lower = new CholeskyDecomposition(covariance).lowerTriangularMatrix.to2DArray();
  const factor = lower.map((row) => Float64Array.from(row));
  const drawn = new Float64Array(dimension);
  return (random) => {
    for (let k = 0; k < dimension; k++) drawn[k] = random.normal();
    return Float32Array.from(factor, (row, k) => {
      let sum = mean[k];
      for (let j = 0; j <= k; j++) sum += row[j] * drawn[j];
      return sum;
    });
  };
}

function mixtureOf(people: readonly RealPerson[], aroundAll: boolean): Draw {
  const unit = people.map(({ embedding }) => scaled(embedding));
  const mean = meanOf(unit);
  const gaussian = gaussianOf(unit.map((embedding) => ({ embedding, isSearched: false })));
  const centres = [...people.keys()].filter((person) => aroundAll || !people[person].isSearched);
  const near = new Map<number, Uint32Array>();
  return (random) => {
    const noise = gaussian(random);
    const centre = centres[Math.floor(random.uniform() * centres.length)];
    let neighbours = near.get(centre);
    if (neighbours === undefined) near.set(centre, (neighbours = neighboursOf(unit, centre)));
    const weights = Float64Array.from({ length: PICKED }, () => random.normal() / Math.sqrt(PICKED));
    const level = weights.reduce((sum, weight) => sum + weight, 0) / PICKED;
    const embedding = noise.map(
      (value, k) => mean[k] * (1 - OF_PERSON) + OF_PERSON * unit[centre][k] + OF_GAUSSIAN * (value - mean[k]),
    );
    for (const weight of weights) {
      const picked = unit[neighbours[Math.floor(random.uniform() * neighbours.length)]];
      const share = OF_NEIGHBOURS * (weight - level);
      for (let k = 0; k < embedding.length; k++) embedding[k] += share * picked[k];
    }
    return embedding;
  };
}

/** The people most similar to one, without it. */
function neighboursOf(unit: readonly Float32Array[], person: number): Uint32Array {
  const own = unit[person];
  const similarities = Float64Array.from(unit, (other) => {
    let sum = 0;
    for (let k = 0; k < own.length; k++) sum += own[k] * other[k];
    return sum;
  });
  const others = [...unit.keys()].filter((other) => other !== person);
  return Uint32Array.from(others.sort((a, b) => similarities[b] - similarities[a]).slice(0, NEIGHBOURS));
}

function scaled(embedding: Float32Array): Float32Array {
  const length = Math.hypot(...embedding);
  return embedding.map((value) => value / length);
}

function meanOf(rows: readonly Float32Array[]): Float64Array {
  const mean = new Float64Array(rows[0].length);
  for (const row of rows) for (let k = 0; k < mean.length; k++) mean[k] += row[k] / rows.length;
  return mean;
}
