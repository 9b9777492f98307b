/**
 * Learns the code book of the candidate vectors: product quantisation (Jégou, Douze and Schmid, IEEE TPAMI 33(1), 2011)
 * with sixteen centroids for each pair of components, by Lloyd's algorithm from k-means++ seeds (Arthur and
 * Vassilvitskii, SODA 2007). All arithmetic is in doubles and in a fixed order: equal vectors give equal code books.
 */
import { Random } from '../../src/random.ts';
import { CENTROIDS, CENTROID_UNIT, CODE_PAIRS, componentsOf } from '../../src/matching/model/finger-vector-model.ts';

const ROUNDS = 40;

/**
 * @param vectors - candidate vectors, at least CENTROIDS
 * @returns i16, for each pair of components: CENTROIDS first components, then CENTROIDS second ones, in units of
 * 1 / CENTROID_UNIT
 * @throws RangeError when there are too few vectors
 */
export function learnCodeBook(vectors: readonly Int8Array[], seed: number): Int16Array {
  if (vectors.length < CENTROIDS) throw new RangeError(`a code book needs ${CENTROIDS} vectors or more`);
  const book = new Int16Array(CODE_PAIRS * CENTROIDS * 2);
  for (let pair = 0; pair < CODE_PAIRS; pair++) {
    const [first, second] = componentsOf(pair);
    const xs = Float64Array.from(vectors, (vector) => vector[first]);
    const ys = Float64Array.from(vectors, (vector) => vector[second]);
    const { x, y } = centroidsOf(xs, ys, new Random(seed, pair));
    for (let c = 0; c < CENTROIDS; c++) {
      book[(2 * pair + 0) * CENTROIDS + c] = Math.round(x[c] * CENTROID_UNIT);
      book[(2 * pair + 1) * CENTROIDS + c] = Math.round(y[c] * CENTROID_UNIT);
    }
  }
  return book;
}

interface Points {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

function centroidsOf(xs: Float64Array, ys: Float64Array, random: Random): Points {
  const centroids = seeds(xs, ys, random);
  for (let round = 0; round < ROUNDS; round++) {
    const [sumX, sumY] = [new Float64Array(CENTROIDS), new Float64Array(CENTROIDS)];
    const counts = new Float64Array(CENTROIDS);
    for (let i = 0; i < xs.length; i++) {
      const c = nearest(centroids, xs[i], ys[i], CENTROIDS);
      sumX[c] += xs[i];
      sumY[c] += ys[i];
      counts[c]++;
    }
    for (let c = 0; c < CENTROIDS; c++) {
      // A centroid without points stays where it is: it may get points in a later round.
      if (counts[c] === 0) continue;
      centroids.x[c] = sumX[c] / counts[c];
      centroids.y[c] = sumY[c] / counts[c];
    }
  }
  return centroids;
}

/**
 * Each further seed is a point drawn with a probability proportional to its squared distance from the earlier seeds.
 */
function seeds(xs: Float64Array, ys: Float64Array, random: Random): Points {
  const centroids = { x: new Float64Array(CENTROIDS), y: new Float64Array(CENTROIDS) };
  const squares = new Float64Array(xs.length).fill(Infinity);
  let chosen = Math.floor(random.uniform() * xs.length);
  for (let c = 0; c < CENTROIDS; c++) {
    centroids.x[c] = xs[chosen];
    centroids.y[c] = ys[chosen];
    let total = 0;
    for (let i = 0; i < xs.length; i++) {
      squares[i] = Math.min(squares[i], (xs[i] - xs[chosen]) ** 2 + (ys[i] - ys[chosen]) ** 2);
      total += squares[i];
    }
    let rest = random.uniform() * total;
    chosen = 0;
    while (chosen < xs.length - 1 && rest >= squares[chosen]) rest -= squares[chosen++];
  }
  return centroids;
}

function nearest({ x, y }: Points, atX: number, atY: number, count: number): number {
  let [best, least] = [0, Infinity];
  for (let c = 0; c < count; c++) {
    const square = (x[c] - atX) ** 2 + (y[c] - atY) ** 2;
    if (square < least) [best, least] = [c, square];
  }
  return best;
}
