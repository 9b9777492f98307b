/** Baselines of suites, and comparison with them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { BenchDocument } from '../harness/document.ts';
import { machineLine, processorOf } from '../harness/machine.ts';
import { ratio as ratios, type Figure } from './figure.ts';

export interface Baseline {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: string;
  /** See processorOf. */
  readonly processor: string;
  readonly kernel: string;
  /** Ratios only: other figures are not comparable between days or machines. */
  readonly figures: readonly Figure[];
}

/** Each suite has its own baseline: gallery sizes differ. */
export function baselineFile(suite: string): string {
  return join(import.meta.dirname, `../baselines/${suite}.json`);
}

export function readBaseline(file: string): Baseline | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Baseline) : undefined;
}

/** Stores the figures that are comparable with later ones. @param run - time and machine of the measurement */
export function writeBaseline(
  file: string,
  { date, machine, kernel }: Pick<BenchDocument, 'date' | 'machine' | 'kernel'>,
  figures: readonly Figure[],
): void {
  mkdirSync(dirname(file), { recursive: true });
  const baseline: Baseline = {
    date,
    machine: machineLine(machine),
    processor: processorOf(machine),
    kernel,
    figures: figures.filter(({ isRatio, value }) => isRatio && Number.isFinite(value)),
  };
  writeFileSync(file, `${JSON.stringify(baseline, undefined, 2)}\n`);
}

/** Smallest noise: two runs on a quiet machine differ by as much, whatever the spread of their repeats. */
const MIN_NOISE = 0.1;
/** Assumed half-width of a figure that was measured once. */
const UNKNOWN_WIDTH = 0.06;
/** Widths of the quartiles that hold nearly all repeats; one holds half of them. */
const WIDTHS = 2;

export interface Comparison {
  readonly figure: Figure;
  readonly before: Figure;
  /** Now to before. */
  readonly ratio: number;
  /** Deviation from 1 that may be chance. */
  readonly noise: number;
  /** Ratios of speeds from another processor are not judged. */
  readonly verdict: 'as before' | 'better' | 'WORSE' | 'another processor';
}

/**
 * Compares figures with the baseline. Figures that are not in the baseline are left out; without a baseline, all are.
 * @param processor - on which the figures were measured
 */
export function compareWith(
  baseline: Baseline | undefined,
  figures: readonly Figure[],
  processor: string,
): Comparison[] {
  if (baseline === undefined) return [];
  const known = new Map(baseline.figures.map((figure) => [keyOf(figure), figure]));
  return figures.flatMap((figure) => {
    const before = known.get(keyOf(figure));
    return before === undefined || !figure.isRatio ? [] : [compare(figure, before, processor === baseline.processor)];
  });
}

function compare(figure: Figure, before: Figure, isSameProcessor: boolean): Comparison {
  const noise = Math.max(figure.minNoise ?? MIN_NOISE, WIDTHS * (widthOf(figure) + widthOf(before)));
  // With a zero there is no ratio: the two are equal or not.
  if (before.value === 0 || figure.value === 0) {
    const isSame = figure.value === before.value || within(figure, before);
    const isWorse = !isSame && (figure.better === 'less') === figure.value > before.value;
    return { figure, before, ratio: NaN, noise, verdict: isSame ? 'as before' : isWorse ? 'WORSE' : 'better' };
  }
  const ratio = figure.value / before.value;
  const change = figure.better === 'more' ? ratio : 1 / ratio;
  const known = change < 1 / (1 + noise) ? 'WORSE' : change > 1 + noise ? 'better' : 'as before';
  const verdict = figure.unit === ratios.unit && !isSameProcessor ? 'another processor' : known;
  return { figure, before, ratio, noise, verdict };
}

/** Whether one lies within the limits of the other. */
function within({ value }: Figure, { low = NaN, high = NaN }: Figure): boolean {
  return value >= low && value <= high;
}

function widthOf({ value, low, high }: Figure): number {
  if (low === undefined || high === undefined) return UNKNOWN_WIDTH;
  return value === 0 ? 0 : (high - low) / 2 / Math.abs(value);
}

function keyOf({ bench, name }: Figure): string {
  return `${bench} ${name}`;
}
