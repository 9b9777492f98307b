/** Figures as tables. */
import Table from 'cli-table3';
import type { Limits } from '../harness/limits.ts';
import { FALSE_MATCH_RATES, type Figures } from './figures.ts';
import { FPIR } from './searches.ts';
import type { Timings } from './timings.ts';

/** From the easiest to the hardest. */
const COLUMNS = [...FALSE_MATCH_RATES.keys()].sort((a, b) => FALSE_MATCH_RATES[b] - FALSE_MATCH_RATES[a]);

export function verificationTable(figures: readonly Figures[]): string {
  const table = newTable([
    'set',
    'fingers',
    'mated',
    'non-mated',
    'EER %',
    ...COLUMNS.map((c) => `FNMR % at ${fmrName(c)}`),
  ]);
  for (const { name, fingers, mated, nonMated, eer, eerLimits, points } of figures) {
    const rates = COLUMNS.map((c) => withLimits(points[c].point?.fnmr, points[c].limits));
    table.push([name, fingers, mated, nonMated, withLimits(eer, eerLimits), ...rates]);
  }
  return table.toString();
}

export function thresholdTable(figures: readonly Figures[]): string {
  const table = newTable(['set', ...COLUMNS.map(fmrName), `FPIR ${percent(FPIR)} %`]);
  for (const { name, points, searches } of figures) {
    table.push([name, ...COLUMNS.map((c) => points[c].point?.threshold ?? '-'), searches.threshold ?? '-']);
  }
  return table.toString();
}

export function searchTable(figures: readonly Figures[]): string {
  const table = newTable(['set', 'searches', 'rank-1 %', `FNIR % at FPIR ${percent(FPIR)} %`]);
  for (const { name, searches } of figures) {
    table.push([name, searches.searches, percent(searches.rankOne), percent(searches.fnir)]);
  }
  return table.toString();
}

export function timingTable(timings: readonly Timings[]): string {
  const table = newTable(['set', 'non-mated comparison µs', 'encode ms']);
  for (const { name, nonMatedUs, encodeMs } of timings) table.push([name, nonMatedUs.toFixed(1), encodeMs.toFixed(2)]);
  return table.toString();
}

export function failureLine(figures: readonly Figures[]): string {
  const sets = figures.filter(({ kind }) => kind === 'set');
  const counts = sets.map(({ name, failures }) => `${name} ${failures.mated} mated, ${failures.nonMated} non-mated`);
  return `Failures to compare (too few minutiae; counted as non-matches): ${counts.join('; ')}.`;
}

function newTable(head: string[]) {
  const aligns = head.map((_, i) => (i === 0 ? 'left' : 'right'));
  return new Table({ head, colAligns: aligns, style: { head: [], border: [], compact: true } });
}

function fmrName(column: number): string {
  const rate = FALSE_MATCH_RATES[column];
  return rate === 0 ? 'zero FMR' : `FMR 10^${Math.round(Math.log10(rate))}`;
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : (100 * share).toFixed(2);
}

function withLimits(share: number | undefined, limits: Limits | undefined): string {
  if (share === undefined || limits === undefined) return percent(share);
  return `${percent(share)} [${limits.map((limit) => (100 * limit).toFixed(1)).join(', ')}]`;
}
