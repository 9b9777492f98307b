/**
 * Tables for a scan of codes with one probe. An entry states, for a pair of components and a centroid, how much less
 * the centroid adds to the inner product than the pair's best centroid. A scan sums the entries of a reference: 0 is
 * the most similar reference possible. The sums of dissimilar references saturate: they need no order.
 */
import { CENTROIDS, CENTROID_UNIT, CODE_PAIRS, componentsOf } from '../model/finger-vector-model.ts';

/**
 * Size of a step, as a similarity (see similarity.ts). Non-mated similarities have a deviation of about twelve steps.
 * The best sum stays below 255 steps: the similarity of a vector to itself is 177.
 */
export const STEP = 144;
/** Size of a step, as an inner product of a vector and centroids: the similarity is an eighth of the product. */
const UNIT = 8 * CENTROID_UNIT * STEP;
/** Values of a scan are bytes: 1 more than this at most. */
export const MAX_BASE = 254;

export interface CodeTables {
  /** u8 [CODE_PAIRS × CENTROIDS], in steps. */
  readonly tables: Uint8Array;
  /** Similarity of the best centroids, in steps, at most MAX_BASE. */
  readonly base: number;
}

/**
 * @param vector - the probe's candidate vector
 * @param codeBook - see finger-vector-model.ts
 */
export function codeTables(vector: Int8Array, codeBook: Int16Array): CodeTables {
  const tables = new Uint8Array(CODE_PAIRS * CENTROIDS);
  const products = new Int32Array(CENTROIDS);
  let sum = 0;
  for (let pair = 0; pair < CODE_PAIRS; pair++) {
    const [first, second] = componentsOf(pair);
    const [x, y] = [vector[first], vector[second]];
    const row = 2 * pair * CENTROIDS;
    let best = -Infinity;
    for (let c = 0; c < CENTROIDS; c++) {
      products[c] = x * codeBook[row + c] + y * codeBook[row + CENTROIDS + c];
      if (products[c] > best) best = products[c];
    }
    for (let c = 0; c < CENTROIDS; c++)
      tables[pair * CENTROIDS + c] = Math.min(255, Math.floor((best - products[c] + UNIT / 2) / UNIT));
    sum += best;
  }
  return { tables, base: Math.max(0, Math.min(MAX_BASE, Math.floor((sum + UNIT / 2) / UNIT))) };
}
