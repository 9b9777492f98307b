/**
 * Logistic regression with a ridge, by Newton's method. The problem is convex: it has one solution, whatever the order
 * of the rows. (le Cessie and van Houwelingen, Applied Statistics 41(1), 1992.)
 */
import { CholeskyDecomposition, Matrix } from 'ml-matrix';

export interface Examples {
  /** Row-major, `columns` per row. */
  readonly values: Float32Array;
  readonly columns: number;
  /** 1: in the class, 0: not. */
  readonly labels: Uint8Array;
  /** Weight of each row. */
  readonly weights: Float64Array;
}

export interface LogisticModel {
  readonly coefficients: Float64Array;
  readonly intercept: number;
}

/** Rows added to the curvature at a time. */
const BLOCK = 4;
const MAX_ROUNDS = 40;
/** The search ends when every step of a coefficient is below this, in deviations of its column. */
const SETTLED = 1e-4;

/**
 * @param ridge - penalty of a squared standardised coefficient, as a share of the sum of weights
 * @param minDeviation - lower bound of a column's deviation: coefficients of rare observations stay near zero
 */
export function fitLogistic(examples: Examples, ridge: number, minDeviation: number): LogisticModel {
  const { columns, labels, weights } = examples;
  const rows = labels.length;
  const { means, deviations } = standardise(examples, minDeviation);
  const size = columns + 1;
  const beta = new Float64Array(size);
  const totalWeight = weights.reduce((sum, weight) => sum + weight, 0);
  // Rows are processed in fours: the matrix is then read and written a quarter as often.
  const waiting = Array.from({ length: BLOCK }, () => new Float64Array(size));
  const curvatures = new Float64Array(BLOCK);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const gradient = new Float64Array(size);
    const hessian = new Float64Array(size * size);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const x = waiting[count];
      let logit = 0;
      for (let c = 0; c < columns; c++) {
        x[c] = (examples.values[row * columns + c] - means[c]) / deviations[c];
        logit += x[c] * beta[c];
      }
      x[columns] = 1;
      const probability = 1 / (1 + Math.exp(-(logit + beta[columns])));
      const slope = weights[row] * (probability - labels[row]);
      const curvature = weights[row] * probability * (1 - probability);
      for (let c = 0; c < size; c++) gradient[c] += slope * x[c];
      // Far from the boundary a row adds almost nothing to the curvature, and most rows are far from it.
      if (curvature < 1e-5 * weights[row]) continue;
      curvatures[count++] = curvature;
      if (count === BLOCK) {
        addOuterProducts(hessian, waiting, curvatures);
        count = 0;
      }
    }
    addOuterProducts(hessian, waiting, curvatures.fill(0, count));
    for (let c = 0; c < columns; c++) {
      gradient[c] += ridge * totalWeight * beta[c];
      hessian[c * size + c] += ridge * totalWeight;
    }
    hessian[size * size - 1] += 1e-9 * totalWeight;
    const step = solve(hessian, gradient, size);
    let largest = 0;
    for (let c = 0; c < size; c++) {
      // A bounded step: Newton's method overshoots where the classes are almost separable.
      const move = Math.max(-2, Math.min(2, step[c]));
      beta[c] -= move;
      largest = Math.max(largest, Math.abs(move));
    }
    if (largest < SETTLED) break;
  }
  const coefficients = Float64Array.from({ length: columns }, (_, c) => beta[c] / deviations[c]);
  const intercept = coefficients.reduce((sum, coefficient, c) => sum - coefficient * means[c], beta[columns]);
  return { coefficients, intercept };
}

/** Adds the outer products of four rows with themselves, upper triangle; the sums are in the order of the rows. */
function addOuterProducts(sums: Float64Array, [p, q, r, s]: readonly Float64Array[], weights: Float64Array): void {
  const size = p.length;
  for (let row = 0; row < size; row++) {
    const at = row * size;
    const [a, b, c, d] = [weights[0] * p[row], weights[1] * q[row], weights[2] * r[row], weights[3] * s[row]];
    for (let k = row; k < size; k++) sums[at + k] = sums[at + k] + a * p[k] + b * q[k] + c * r[k] + d * s[k];
  }
}

function standardise({ values, columns, weights }: Examples, smallest: number) {
  const means = new Float64Array(columns);
  const squares = new Float64Array(columns);
  let total = 0;
  weights.forEach((weight, row) => {
    total += weight;
    for (let c = 0; c < columns; c++) {
      const value = values[row * columns + c];
      means[c] += weight * value;
      squares[c] += weight * value * value;
    }
  });
  const deviations = new Float64Array(columns);
  for (let c = 0; c < columns; c++) {
    means[c] /= total;
    deviations[c] = Math.max(smallest, Math.sqrt(Math.max(0, squares[c] / total - means[c] * means[c])));
  }
  return { means, deviations };
}

function solve(upper: Float64Array, right: Float64Array, size: number): number[] {
  const matrix = new Matrix(size, size);
  for (let r = 0; r < size; r++) {
    for (let c = r; c < size; c++) {
      matrix.set(r, c, upper[r * size + c]);
      matrix.set(c, r, upper[r * size + c]);
    }
  }
  return new CholeskyDecomposition(matrix).solve(Matrix.columnVector(Array.from(right))).getColumn(0);
}
