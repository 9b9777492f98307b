/** Figures of docs/accuracy.md that follow from the product, computed again. */
import { describe, expect, it } from 'vitest';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { thresholdFor } from '../../src/matching/rates/fusion.ts';
import { pages } from './pages.ts';

const text = (name: string) => pages.find((page) => page.name === name)?.text ?? '';
const page = text('docs/accuracy.md');

/** Cells of the table whose header row begins with this text, without the header. */
function table(head: string): string[][] {
  const lines = page.slice(page.indexOf(`| ${head}`)).split('\n');
  const end = lines.findIndex((line) => !line.startsWith('|'));
  return lines.slice(2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
const numberOf = (cell: string) => Number(cell.replaceAll(',', '').replace('−', '-'));

describe('docs/accuracy.md', () => {
  it('states the thresholds that the service applies', () => {
    const rows = table('target FPIR');
    expect(rows).toHaveLength(4);
    for (const [fpir = '', ...thresholds] of rows)
      expect(thresholds.map(numberOf)).toEqual([1, 1000, 100_000, 1_000_000].map((n) => thresholdFor(Number(fpir), n)));
  });

  it('states numbers of searches that agree with the binomial distribution', () => {
    const rows = table('to believe a rate of').map((row) => row.map(numberOf));
    expect(rows).toHaveLength(3);
    for (const [rate = 0, none = 0, thirty = 0] of rows) {
      // The largest rate at which this number of trials without an error still has a probability of 5 %.
      expect(-Math.log(0.05) / none).toBeLessThanOrEqual(rate);
      expect(-Math.log(0.05) / (none * 0.99)).toBeGreaterThan(rate);
      expect(thirty * rate).toBeCloseTo(30, 9);
    }
    const [[, few], [low, high]] = [binomialLimits(0, 300), binomialLimits(30, 3000)];
    expect(page).toContain(`0 of 300 gives at most ${(100 * few).toFixed(2)} %`);
    expect(page).toContain(`30 of 3,000 gives ${(100 * low).toFixed(2)} % to ${(100 * high).toFixed(2)} %`);
  });

  it('states the error rates of the model card', () => {
    const [, a, b, c] = /FNMR at FMR 10⁻³ of ([\d.]+) %, ([\d.]+) % and ([\d.]+) %/.exec(page) ?? [];
    const held = ['fvc2002-secugen', 'fvc2002-mindtct', 'fcj2020-mindtct'].map(
      (set) =>
        new RegExp(`^\\| ${set} +\\| [\\d,]+ +\\| [\\d,]+ +\\| [\\d.]+ % +\\| ([\\d.]+) %`, 'm').exec(
          text('docs/model-card.md'),
        )?.[1],
    );
    expect([a, b, c]).toEqual(held);
    expect(held.every((rate) => rate !== undefined)).toBe(true);
  });
});
