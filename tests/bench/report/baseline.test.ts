import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareWith, type Baseline } from '../../../bench/report/baseline.ts';
import type { Figure } from '../../../bench/report/figure.ts';

const figure = (value: number, changes: Partial<Figure> = {}): Figure => ({
  bench: 'kernels',
  name: 'a ratio',
  value,
  unit: '×',
  better: 'more',
  isRatio: true,
  ...changes,
});
const baselineOf = (...figures: Figure[]): Baseline => ({
  date: '',
  machine: '',
  processor: 'one',
  kernel: '',
  figures,
});
const verdict = (before: Figure, now: Figure) => compareWith(baselineOf(before), [now], 'one')[0]?.verdict;

describe('a comparison with a baseline', () => {
  it('marks a figure that has become worse, whichever direction is better', () => {
    expect(verdict(figure(2), figure(1.5))).toBe('WORSE');
    expect(verdict(figure(2), figure(2.5))).toBe('better');
    expect(verdict(figure(2, { better: 'less' }), figure(2.5, { better: 'less' }))).toBe('WORSE');
    expect(verdict(figure(2), figure(1.98))).toBe('as before');
  });

  it('accepts a difference within the spreads of both', () => {
    const wide = { low: 1.6, high: 2.4 };
    expect(verdict(figure(2, wide), figure(1.5))).toBe('as before');
    expect(verdict(figure(2), figure(1.5, { low: 1.2, high: 1.8 }))).toBe('as before');
    expect(verdict(figure(2, wide), figure(0.9))).toBe('WORSE');
  });

  it('accepts a difference within the known noise between runs', () => {
    expect(verdict(figure(2), figure(1.6, { minNoise: 0.35 }))).toBe('as before');
    expect(verdict(figure(2), figure(1.4, { minNoise: 0.35 }))).toBe('WORSE');
  });

  it('judges one lost record worse than none, unless the confidence limits cover it', () => {
    const lost = (value: number, changes: Partial<Figure> = {}) =>
      figure(value, { better: 'less', unit: '', ...changes });
    expect(verdict(lost(0), lost(0))).toBe('as before');
    expect(verdict(lost(0), lost(1))).toBe('WORSE');
    expect(verdict(lost(1), lost(0))).toBe('better');
    expect(verdict(lost(0, { low: 0, high: 3.6 }), lost(1))).toBe('as before');
  });

  it('omits figures that are not ratios or not in the baseline', () => {
    const others = [figure(2, { isRatio: false }), figure(2, { name: 'new' })];
    expect(compareWith(baselineOf(figure(1)), others, 'one')).toEqual([]);
  });

  it('does not judge speed ratios of another processor, but judges rates', () => {
    const found = (value: number) => figure(value, { unit: '%', name: 'a hit rate' });
    const compared = compareWith(baselineOf(figure(2), found(99)), [figure(1), found(50)], 'another');
    expect(compared.map((one) => one.verdict)).toEqual(['another processor', 'WORSE']);
  });

  it('never judges an equal figure worse', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1e6 }),
        fc.constantFrom('more' as const, 'less' as const),
        (value, better) => {
          expect(verdict(figure(value, { better }), figure(value, { better }))).toBe('as before');
        },
      ),
    );
  });
});
