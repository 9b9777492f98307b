/** Figures as lines, with the stored baseline. */
import Table from 'cli-table3';
import { compareWith, type Baseline, type Comparison } from './baseline.ts';
import type { Figure } from './figure.ts';

/** A number with its significant digits. */
export function shownValue({ value, unit }: Pick<Figure, 'value' | 'unit'>): string {
  const rounded =
    Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
  return `${rounded}${unit === '' ? '' : ` ${unit}`}`;
}

export function shownSpread({ low, high }: Figure): string {
  return low === undefined || high === undefined
    ? ''
    : `${Number(low.toPrecision(3))} to ${Number(high.toPrecision(3))}`;
}

/** Comparisons by figure; empty without a baseline. */
export function comparisonsOf(
  baseline: Baseline | undefined,
  figures: readonly Figure[],
  processor: string,
): ReadonlyMap<Figure, Comparison> {
  return new Map(compareWith(baseline, figures, processor).map((comparison) => [comparison.figure, comparison]));
}

export function shownComparison(comparison: Comparison | undefined): string {
  if (comparison === undefined) return '';
  const { before, ratio, noise, verdict } = comparison;
  const change = Number.isNaN(ratio) ? '' : `, ratio ${ratio.toFixed(2)}`;
  return `${verdict} (baseline ${shownValue(before)}${change}; noise ${(100 * noise).toFixed(0)} %)`;
}

export function summaryTable(figures: readonly Figure[], baseline: Baseline | undefined, processor: string): string {
  const comparisons = comparisonsOf(baseline, figures, processor);
  const head = [
    'suite',
    'figure',
    'value',
    'spread or limits',
    ...(baseline === undefined ? [] : ['against the baseline']),
  ];
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  for (const figure of figures) {
    const cells = [figure.bench, figure.name, shownValue(figure), shownSpread(figure)];
    table.push(baseline === undefined ? cells : [...cells, shownComparison(comparisons.get(figure))]);
  }
  return table.toString();
}
