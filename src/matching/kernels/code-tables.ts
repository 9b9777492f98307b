/**
 * What a scan of codes adds up for one probe: for each pair of components and each centroid, how much less it adds to
 * the inner product than the best centroid of the pair. Sums of these start at 0 for the most similar reference that is
 * possible, and saturate for dissimilar ones, which need no order.
 */
import { CENTROIDS, CENTROID_UNIT, CODE_PAIRS, componentsOf } from '../model/finger-vector-model.ts';

/**
 * Similarities (see similarity.ts) of one step. Non-mated similarities deviate by about twelve steps. The best sum stays
 * below 255 steps: a vector's own similarity is 177.
 */
export const STEP = 144;
/** Inner products of a vector and centroids in one step: an eighth of the product is the similarity. */
const UNIT = 8 * CENTROID_UNIT * STEP;
const MAX_BASE = 254;

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
