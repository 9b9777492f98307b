/** What was measured before, and whether it has become worse. */
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
  /** Ratios only: nothing else can be compared with another day, let alone another machine. */
  readonly figures: readonly Figure[];
}

/** A suite has a baseline of its own, for its galleries have other sizes. */
export function baselineFile(suite: string): string {
  return join(import.meta.dirname, `../baselines/${suite}.json`);
}

export function readBaseline(file: string): Baseline | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Baseline) : undefined;
}

/** Keeps of figures those that can be compared with later ones. @param run - when, and on what, they were measured */
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

/** Two runs on a quiet machine differ by as much, whatever their repeats say. */
const MIN_NOISE = 0.1;
/** Half the width that a figure is taken to have which was measured once. */
const UNKNOWN_WIDTH = 0.06;
/** Quartiles hold half of all repeats; so many of their widths hold nearly all. */
const WIDTHS = 2;

export interface Comparison {
  readonly figure: Figure;
  readonly before: Figure;
  /** Now to before. */
  readonly ratio: number;
  /** How far it may be from 1 by chance. */
  readonly noise: number;
  /** Of a ratio of speeds that another processor gave: nothing. */
  readonly verdict: 'as before' | 'better' | 'WORSE' | 'another processor';
}

/**
 * Figures of both, compared; those that are not in the baseline are left out, and all where there is none.
 * @param processor - that the figures were measured on
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
  // What was nothing is as it was, or it is not.
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
