import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/random.ts';
import { linearDiscriminants, type ClassOfRows } from '../../../index-builder/train/discriminants.ts';

const WIDTH = 24;
/** How far classes lie apart in each dimension, and how much the rows of one class vary. */
const APART = Array.from({ length: WIDTH }, (_, i) => (i === 5 ? 6 : i === 9 ? 3 : 0.1));
const VARIES = Array.from({ length: WIDTH }, (_, i) => (i === 2 ? 20 : i === 9 ? 0.5 : 1));

function classes(seed: number, count: number, each: number): ClassOfRows[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => {
    const centre = APART.map((apart) => 7 + apart * random.normal());
    const row = () => Float64Array.from(centre, (value, i) => value + VARIES[i] * random.normal());
    return { rows: Array.from({ length: each }, row), weight: 1 };
  });
}

const inner = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i], 0);

describe('linear discriminants', () => {
  const { mean, ratios, directions } = linearDiscriminants(classes(1, 400, 4), 4, 0, 1);

  it('are the directions with the greatest variance between classes relative to that within them', () => {
    const strongest = directions.map((row) =>
      row.reduce((best, v, i) => (Math.abs(v) > Math.abs(row[best]) ? i : best), 0),
    );
    // Ratios 3 / 0.5 and 6 / 1 are equal; dimension 2 varies most, but does not separate classes.
    expect(strongest.slice(0, 2).sort()).toEqual([5, 9]);
    expect(ratios[1] / ratios[2]).toBeGreaterThan(10);
    for (const value of ratios.subarray(0, 2)) expect(Math.abs(value - 37)).toBeLessThan(6);
    for (const value of mean) expect(Math.abs(value - 7)).toBeLessThan(1.5);
  });

  it('have a variance of 1 within classes, and no covariance', () => {
    const sets = classes(1, 400, 4);
    const within = (a: ArrayLike<number>, b: ArrayLike<number>) => {
      let sum = 0;
      for (const { rows } of sets) {
        const centre = Float64Array.from(rows[0], (_, i) => rows.reduce((all, row) => all + row[i], 0) / rows.length);
        for (const row of rows) sum += (inner(row, a) - inner(centre, a)) * (inner(row, b) - inner(centre, b));
      }
      return sum / (400 * 3);
    };
    directions.forEach((a, i) => {
      directions.forEach((b, j) => expect(within(a, b)).toBeCloseTo(i === j ? 1 : 0, 6));
    });
  });

  it('count a class by its weight, like repetitions of it', () => {
    const [one, ...others] = classes(2, 40, 3);
    const weighted = linearDiscriminants([{ ...one, weight: 2 }, ...others], 3, 0.2, 1);
    const repeated = linearDiscriminants([one, one, ...others], 3, 0.2, 1);
    weighted.ratios.forEach((ratio, j) => expect(ratio).toBeCloseTo(repeated.ratios[j], 6));
  });

  it('cannot be computed from classes of a single row', () => {
    expect(() => linearDiscriminants(classes(1, 40, 1), 3, 0.2, 1)).toThrow('no two rows are of one class');
  });
});
