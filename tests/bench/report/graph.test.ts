import { describe, expect, it } from 'vitest';
import type { BenchDocument } from '../../../bench/harness/document.ts';
import { figuresOf } from '../../../bench/report/figures.ts';
import { plotsOf } from '../../../bench/report/plots.ts';

const method = (share: number, timesFaster: number) => ({
  first: { share, limits: [share - 0.02, share + 0.005] },
  timesFaster,
});
const size = (subjects: number, share: number) => ({
  subjects,
  figures: ['ordinary prints', 'bad prints'].map((kind) => ({
    kind,
    codes: [{ chosen: 0.003, ...method(share, 4) }],
    graph: [{ ef: 50, ...method(share - 0.1, 2) }],
  })),
});
const document = {
  bench: 'graph',
  result: { modality: 'two-fingers', sizes: [size(10_000, 0.99), size(100_000, 0.98)] },
} as unknown as BenchDocument;

describe('a result of the graph suite in a report', () => {
  it('has the recall and the speed-up of every setting at the largest size', () => {
    const figures = figuresOf(document);
    expect(figures.map(({ name, value, unit }) => `${name}: ${value.toFixed(1)} ${unit}`)).toEqual(
      ['ordinary prints', 'bad prints'].flatMap((kind) => [
        `codes, 0.3 %, of 100000, two-fingers, ${kind}: recall of rank 1: 98.0 %`,
        `codes, 0.3 %, of 100000, two-fingers, ${kind}: scan of whole vectors to it, time: 4.0 ×`,
        `graph, ef 50, of 100000, two-fingers, ${kind}: recall of rank 1: 88.0 %`,
        `graph, ef 50, of 100000, two-fingers, ${kind}: scan of whole vectors to it, time: 2.0 ×`,
      ]),
    );
    expect(figures[0]).toMatchObject({ low: 96, high: 98.5, better: 'more', isRatio: true });
  });

  it('has a plot for each kind of probes', () => {
    const plots = plotsOf(document);
    expect(plots).toHaveLength(2);
    expect(plots[1]).toContain('bad prints');
    expect(plots[1]).toContain('codes');
  });
});
