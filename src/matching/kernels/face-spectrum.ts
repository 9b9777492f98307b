/**
 * How faces of one model lie in the space of its components, learned from enrolled faces: embeddings fill few of the
 * directions, each to a known degree. A probe that no face resembles in this, such as random numbers, single components
 * or single principal directions, tells more about a reference than a face does.
 *
 * The first half of the faces gives the directions, the second half the limits: the energy outside of directions is
 * underestimated on the faces that they were learned from.
 */
import { learnPrincipalDirections } from './principal-directions.ts';

/** Directions that are computed; the energy outside of them counts together. */
const SIZE = 128;
/** Ends of the bands of directions: octaves, because variances fall slowly. The last band is the rest. */
const BAND_ENDS = [8, 16, 32, 64, SIZE] as const;
/** Fewer faces than this say too little about 128 directions and the tails of their energies. */
const MIN_FACES = 3000;
/** Limits in standard deviations of a figure, and as a multiple of the largest deviation seen. */
const MIN_DEVIATIONS = 7;
const BEYOND_SEEN = 1.5;
/** Energy below this share is not told apart: rounding to bytes has as much. */
const SHARE_OF_ROUNDING = 1e-4;
/** Energy outside of the directions, as a share of what random components have there. Few real faces come near. */
const SHARE_OF_RANDOM = 0.6;
/** Place of the energy outside among the figures, and of the effective number of directions. */
const OUTSIDE = BAND_ENDS.length;
const EFFECTIVE = OUTSIDE + 1;
/**
 * Effective number of directions from which on a face is never refused for it, as a logarithm. Sums of up to eight
 * directions have fewer; of 6,274 real faces the least has 8.5, by a spectrum of people unlike it.
 */
const ENOUGH_DIRECTIONS = Math.log(8);

/** Plain data: it can be sent to threads. */
export interface FaceSpectrum {
  readonly dimension: number;
  /** f32 [SIZE × dimension], orthonormal rows, most variance first. */
  readonly directions: Float32Array;
  /** Components of the mean face. */
  readonly mean: Float32Array;
  /** 1 / standard deviation along each direction. */
  readonly inverse: Float64Array;
  /** Lowest and highest plausible value of each figure, see `figuresOf`. */
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly learnedFrom: number;
}

/** Whether a spectrum can be learned from this many faces. */
export function canLearnSpectrum(dimension: number, faces: number): boolean {
  return dimension > SIZE && faces >= MIN_FACES;
}

/**
 * Takes about a second for 6,000 faces of 512 components: not for the main thread.
 * @param faces - i8 [count × dimension], in any order that does not sort them by likeness
 * @throws RangeError unless canLearnSpectrum
 */
export function learnFaceSpectrum(faces: Int8Array, dimension: number): FaceSpectrum {
  const count = faces.length / dimension;
  if (!canLearnSpectrum(dimension, count)) throw new RangeError('too few faces, or components');
  const half = Math.floor(count / 2);
  const first = faces.subarray(0, half * dimension);
  const principal = learnPrincipalDirections(first, dimension, SIZE);
  const mean = new Float32Array(dimension);
  for (let i = 0; i < first.length; i++) mean[i % dimension] += first[i] / half;
  const spectrum = {
    dimension,
    directions: Float32Array.from(principal.directions),
    mean,
    inverse: new Float64Array(SIZE).fill(1),
    learnedFrom: count,
  };
  const variances = new Float64Array(SIZE);
  for (let face = 0; face < half; face++)
    along(spectrum, rowOf(faces, dimension, face)).forEach((value, row) => (variances[row] += (value * value) / half));
  variances.forEach((variance, row) => (spectrum.inverse[row] = variance > 0 ? 1 / Math.sqrt(variance) : 0));
  const figures = Array.from({ length: count - half }, (_, i) =>
    figuresOf(spectrum, rowOf(faces, dimension, half + i)),
  );
  const limits = Array.from(figures[0], (_, k) => limitsOf(figures.map((own) => own[k])));
  const outside = figures.map((own) => own[OUTSIDE]);
  const ofRandom = Math.log(SHARE_OF_RANDOM * (1 - SIZE / dimension));
  // Faces that directions were learned from have less energy outside than others, and may come again.
  limits[OUTSIDE] = [-Infinity, Math.min(limits[OUTSIDE][1], Math.max(ofRandom, ...outside))];
  limits[EFFECTIVE] = [Math.min(limits[EFFECTIVE][0], ENOUGH_DIRECTIONS), limits[EFFECTIVE][1]];
  return {
    ...spectrum,
    low: Float64Array.from(limits, ([low]) => low),
    high: Float64Array.from(limits, ([, high]) => high),
  };
}

/**
 * Whether an embedding lies as faces of the model do. Costs SIZE × dimension products, about 60 µs at 512 components.
 * @param values - quantised components of an embedding of this model and dimension
 */
export function isInSpectrum(spectrum: FaceSpectrum, values: Int8Array): boolean {
  const { low, high } = spectrum;
  return figuresOf(spectrum, values).every((figure, k) => figure >= low[k] && figure <= high[k]);
}

type Directions = Pick<FaceSpectrum, 'dimension' | 'directions' | 'mean' | 'inverse'>;

/**
 * Logarithms of the shares of energy in each band and outside, and of the effective number of directions by variance:
 * the latter is 1 for a single direction, and a third of SIZE for normal components.
 */
function figuresOf(spectrum: Directions, values: Int8Array): Float64Array {
  const { mean, inverse } = spectrum;
  const projected = along(spectrum, values);
  let total = 0;
  for (let k = 0; k < values.length; k++) total += (values[k] - mean[k]) ** 2;
  const figures = new Float64Array(EFFECTIVE + 1);
  let [row, held] = [0, 0];
  BAND_ENDS.forEach((end, band) => {
    let energy = 0;
    for (; row < end; row++) energy += projected[row] ** 2;
    held += energy;
    figures[band] = logShare(energy, total);
  });
  figures[OUTSIDE] = logShare(Math.max(0, total - held), total);
  let [squares, fourths] = [0, 0];
  for (let i = 0; i < SIZE; i++) {
    const white = (projected[i] * inverse[i]) ** 2;
    squares += white;
    fourths += white * white;
  }
  figures[EFFECTIVE] = fourths > 0 ? Math.log((squares * squares) / fourths) : 0;
  return figures;
}

function logShare(energy: number, total: number): number {
  return total > 0 ? Math.log(energy / total + SHARE_OF_ROUNDING) : 0;
}

function along({ dimension, directions, mean }: Directions, values: Int8Array): Float64Array {
  const centred = new Float32Array(dimension);
  for (let k = 0; k < dimension; k++) centred[k] = values[k] - mean[k];
  const projected = new Float64Array(SIZE);
  for (let row = 0, at = 0; row < SIZE; row++) {
    let sum = 0;
    for (let k = 0; k < dimension; k++, at++) sum += directions[at] * centred[k];
    projected[row] = sum;
  }
  return projected;
}

function rowOf(faces: Int8Array, dimension: number, row: number): Int8Array {
  return faces.subarray(row * dimension, (row + 1) * dimension);
}

function limitsOf(figures: readonly number[]): readonly [low: number, high: number] {
  const mean = figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  let [variance, below, above] = [0, 0, 0];
  for (const figure of figures) {
    variance += (figure - mean) ** 2 / figures.length;
    below = Math.max(below, mean - figure);
    above = Math.max(above, figure - mean);
  }
  const deviations = MIN_DEVIATIONS * Math.sqrt(variance);
  return [mean - Math.max(deviations, BEYOND_SEEN * below), mean + Math.max(deviations, BEYOND_SEEN * above)];
}
