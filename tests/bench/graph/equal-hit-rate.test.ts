import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crossing, fitPower, growthOf, timeAtHitRate } from '../../../bench/graph/equal-hit-rate.ts';

const setting = (mates: number, milliseconds: number) => ({ found: { mates, of: 1000 }, milliseconds });

describe('the time at a hit rate', () => {
  const settings = [setting(900, 1), setting(990, 2), setting(1000, 4)];

  it('lies between the settings below and above', () => {
    expect(timeAtHitRate(settings, 0.95)).toBeGreaterThan(1);
    expect(timeAtHitRate(settings, 0.95)).toBeLessThan(2);
    expect(timeAtHitRate(settings, 0.97)).toBeGreaterThan(timeAtHitRate(settings, 0.95) ?? NaN);
    expect(timeAtHitRate(settings, 0.999)).toBeLessThanOrEqual(4);
  });

  it('is that of the first setting if it finds more than enough, and none if no setting finds enough', () => {
    expect(timeAtHitRate(settings, 0.8)).toBe(1);
    expect(timeAtHitRate(settings.slice(0, 2), 0.999)).toBeUndefined();
  });
});

describe('growth', () => {
  const sizes = [10_000, 30_000, 100_000];
  const graph = (subjects: number) => ({ subjects, milliseconds: 0.01 * subjects ** 0.3 });
  const scan = (subjects: number) => ({ subjects, milliseconds: 0.05 + subjects * 3e-6 });

  it('fits a power of the size', () => {
    fc.assert(
      fc.property(fc.double({ min: -0.5, max: 2, noNaN: true }), (exponent) => {
        const fitted = fitPower(sizes.map((subjects) => ({ subjects, milliseconds: 2 * subjects ** exponent })));
        expect(fitted.exponent).toBeCloseTo(exponent, 6);
        expect(fitted.factor).toBeCloseTo(2, 6);
      }),
    );
  });

  it('finds the size from which the graph is faster', () => {
    const growth = growthOf(sizes.map(graph), sizes.map(scan));
    const size = growth?.crossing ?? NaN;
    expect(graph(size).milliseconds / scan(size).milliseconds).toBeCloseTo(1, 6);
    expect(graph(2 * size).milliseconds).toBeLessThan(scan(2 * size).milliseconds);
    expect(growth?.crossings[0]).toBeCloseTo(size, -1);
    expect(growth?.crossings[1]).toBeCloseTo(size, -1);
  });

  it('has no such size for a graph that grows like the scan, and all sizes for one that is always faster', () => {
    const line = { fixed: 0, perSubject: 1e-6 };
    expect(crossing({ factor: 1e-5, exponent: 1 }, line)).toBe(Infinity);
    expect(crossing({ factor: 1e-7, exponent: 1 }, line)).toBe(1);
  });

  it('takes only sizes at which both were measured, two at least', () => {
    expect(growthOf(sizes.map(graph), sizes.slice(2).map(scan))).toBeUndefined();
    const growth = growthOf(sizes.map(graph), sizes.slice(1).map(scan));
    expect(growth?.crossings[0]).toBeCloseTo(growth?.crossing ?? NaN, 3);
  });
});
