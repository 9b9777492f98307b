import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { medianOf, quantile, spreadOf } from '../../../bench/harness/spread.ts';

describe('a spread', () => {
  it('consists of measured values, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { minLength: 1 }), (values) => {
        const { low, median, high, count } = spreadOf(values);
        expect(low <= median && median <= high).toBe(true);
        for (const value of [low, median, high]) expect(values.some((one) => one === value)).toBe(true);
        expect(count).toBe(values.length);
      }),
    );
    expect(quantile([], 0.5)).toBeNaN();
  });

  it('has the value of the nearest rank as its median', () => {
    expect(medianOf([30, 10, 20])).toBe(20);
    expect(medianOf([40, 10, 20, 30])).toBe(30);
    expect([0, 0.25, 0.95, 1].map((q) => quantile([5, 4, 3, 2, 1], q))).toEqual([1, 2, 5, 5]);
  });
});
