/**
 * Another capture of an enrolled face, made from its embedding: noise with the shape of the gallery's own faces, which
 * fill few of the many dimensions. Noise that fills all of them alike would hardly change any rank.
 */
import type { Random } from '../../random.ts';

/**
 * Variance of a capture about its person, in units of the variance between people: median, and deviation of its
 * logarithm. Those of the synthetic people, after LFW.
 */
const NOISE_MEDIAN = 0.43;
const NOISE_DEVIATION = 0.59;
/** Pairs of faces whose differences are summed: the sum is nearly normal, with the covariance of the faces. */
export const NOISE_PAIRS = 8;

/**
 * @param face - an embedding as the gallery stores it, of signed bytes
 * @param others - 2 × NOISE_PAIRS faces of other subjects
 * @param random - decides about the rest: the same numbers give the same face
 * @returns an embedding of the same length
 */
export function wornFace(face: Int8Array, others: readonly Int8Array[], random: Random): Int8Array {
  const noise = new Float64Array(face.length);
  others.forEach((other, k) => {
    const sign = k % 2 === 0 ? 1 : -1;
    for (let i = 0; i < noise.length; i++) noise[i] += sign * other[i];
  });
  const variance = () => NOISE_MEDIAN * Math.exp(NOISE_DEVIATION * random.normal());
  // Two captures of a person, with noise of their own.
  const cosine = 1 / Math.sqrt((1 + variance()) * (1 + variance()));
  const [length, ofNoise] = [lengthOf(face), Math.max(1, lengthOf(noise))];
  const mixed = Float64Array.from(
    face,
    (value, i) => cosine * value + (Math.sqrt(1 - cosine ** 2) * length * noise[i]) / ofNoise,
  );
  const scale = length / Math.max(1, lengthOf(mixed));
  return Int8Array.from(mixed, (value) => Math.max(-127, Math.min(127, Math.round(scale * value))));
}

function lengthOf(vector: Int8Array | Float64Array): number {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += vector[i] ** 2;
  return Math.sqrt(sum);
}
