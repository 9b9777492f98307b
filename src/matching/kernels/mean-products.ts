import { Matrix } from 'ml-matrix';

/**
 * Mean products of every two components.
 * @param rows - each of `dimension` numbers
 * @param centre - what is subtracted from each
 */
export function meanProducts(rows: readonly ArrayLike<number>[], centre: Float64Array): Matrix {
  const dimension = centre.length;
  const sums = new Float64Array(dimension * dimension);
  const moved = new Float64Array(dimension);
  for (const row of rows) {
    for (let i = 0; i < dimension; i++) moved[i] = row[i] - centre[i];
    for (let i = 0; i < dimension; i++) {
      for (let j = 0; j <= i; j++) sums[i * dimension + j] += moved[i] * moved[j];
    }
  }
  const products = new Matrix(dimension, dimension);
  for (let i = 0; i < dimension; i++) {
    for (let j = 0; j <= i; j++) {
      const mean = sums[i * dimension + j] / rows.length;
      products.set(i, j, mean);
      products.set(j, i, mean);
    }
  }
  return products;
}
