/** Which faces are coded, and which of them directions and spectra are learned from: the same in a service and an index. */
import { canLearnSpectrum } from '../kernels/face-spectrum.ts';
import { canLearnDirections } from '../kernels/learn-face-directions.ts';

/** Smallest number of faces that is coded: fewer are compared exactly within a few milliseconds. */
export const MIN_CODED_FACES = 20_000;
/** Faces that directions are learned from, the first by subject id: more hardly change them. */
export const LEARNED_FACES = 3000;
/**
 * Faces that a spectrum is learned from, the first by subject id, and as many as it needs: it is the same however many
 * follow. Half of them give 128 directions, the others limits that 7 deviations or 1.5 times the extremes of 1,500 faces
 * set.
 */
export const SPECTRUM_FACES = 3000;
/** Maximum number of components: the learning time grows with it. */
const MAX_CODED_DIMENSION = 1024;

/**
 * Whether faces of this kind are coded.
 * @param count - faces of the model
 * @param minFaces - the smallest number that is coded
 */
export function areCoded(dimension: number, count: number, minFaces = MIN_CODED_FACES): boolean {
  if (count < minFaces || dimension > MAX_CODED_DIMENSION) return false;
  return canLearnDirections(dimension, Math.min(count, LEARNED_FACES));
}

/**
 * Whether faces of this kind have a spectrum.
 * @param count - faces of the model that are not synthetic
 */
export function hasSpectrum(dimension: number, count: number): boolean {
  return dimension <= MAX_CODED_DIMENSION && canLearnSpectrum(dimension, Math.min(count, SPECTRUM_FACES));
}
