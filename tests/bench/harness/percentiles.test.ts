import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CURVE, curveOf, percentiles } from '../../../bench/harness/percentiles.ts';

describe('percentiles', () => {
  const waits = fc.array(fc.double({ min: 0.1, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 });

  it('are the values at their rank, to three digits', () => {
    fc.assert(
      fc.property(waits, (values) => {
        const sorted = Float64Array.from(values).sort();
        const { p50, p99, max } = percentiles(values);
        for (const [share, value] of [
          [0.5, p50],
          [0.99, p99],
          [1, max],
        ] as const) {
          const exact = sorted[Math.ceil(share * sorted.length) - 1];
          expect(Math.abs(value - exact)).toBeLessThanOrEqual(0.1 + exact / 1000);
        }
      }),
    );
  });

  it('of a curve ascend, and agree with the percentiles of the same name', () => {
    fc.assert(
      fc.property(waits, (values) => {
        const curve = curveOf(values);
        expect(curve).toEqual([...curve].sort((a, b) => a - b));
        const at = (percentile: (typeof CURVE)[number]) => curve[CURVE.indexOf(percentile)];
        expect({ p50: at(50), p99: at(99), max: at(100) }).toEqual(percentiles(values));
      }),
    );
  });

  it('ignore values that are not finite, and are 0 without values', () => {
    expect(percentiles([NaN, 7, Infinity])).toEqual({ p50: 7, p99: 7, max: 7 });
    expect(percentiles([])).toEqual({ p50: 0, p99: 0, max: 0 });
  });
});
