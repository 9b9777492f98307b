import { createHash } from 'node:crypto';
import type { CalibrationTable } from './calibration.ts';

/** Distance between a table's entries: points of a finger score, ten-thousandths of a cosine. */
export const TABLE_STEPS = { finger: 10, face: 50 } as const;

/** How often each score occurred in non-mated comparisons. */
export interface ScoreHistogram {
  readonly name: string;
  readonly counts: ReadonlyMap<number, number>;
  readonly total: number;
}

/** A table and its sources. */
export interface CalibrationContent extends CalibrationTable {
  /** Names of the data sets. */
  readonly sources: readonly string[];
}

/** Comparisons required to accept a measured rate: ± 60 % at 95 % confidence. */
const MIN_SEEN = 10;
/** Thousandths of log10 over which the slope of the tail is measured. */
const TAIL_SPAN = 1000;

/** The curve of one source: the measured rates, then an extrapolation along the slope of the tail. */
interface Curve {
  readonly measured: ReadonlyMap<number, number>;
  readonly end: number;
  readonly rateAtEnd: number;
  readonly slope: number;
}

/**
 * Builds the table from the worst source at every score: the share of its comparisons that scored at least as high. A
 * source too small to be measured at a score still counts there, by extrapolation. Otherwise the table would promise
 * the rates of the largest source for all sources.
 * @param step - distance between the table's entries
 */
export function makeTable(sources: readonly ScoreHistogram[], step: number): CalibrationContent {
  const curves = sources.map((source) => makeCurve(source, step));
  const lowest = Math.min(...curves.flatMap(({ measured }) => [...measured.keys()]));
  const highest = Math.max(...curves.map(({ end }) => end));
  const scores: number[] = [];
  const milliLog10Fmr: number[] = [];
  let measuredTo = lowest;
  for (let score = lowest; score <= highest; score += step) {
    const worst = worstAt(curves, score);
    const last = milliLog10Fmr.at(-1);
    // Never rising, and without repeated entries.
    if (last !== undefined && worst.rate >= last) continue;
    scores.push(score);
    milliLog10Fmr.push(worst.rate);
    if (worst.curve.measured.has(score)) measuredTo = score;
  }
  const milliLog10PerStep = Number(worstAt(curves, highest).curve.slope.toPrecision(4));
  const table = { scores, milliLog10Fmr, measuredTo, milliLog10PerStep };
  return {
    version: tableVersion(table),
    sources: sources.map(({ name, total }) => `${name}: ${total} comparisons`),
    ...table,
  };
}

/** Digest of a table: twelve hexadecimal digits. */
export function tableVersion(table: Omit<CalibrationTable, 'version'>): string {
  const { scores, milliLog10Fmr, measuredTo, milliLog10PerStep } = table;
  const content = JSON.stringify([scores, milliLog10Fmr, measuredTo, milliLog10PerStep]);
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

function rateOf(curve: Curve, score: number): number {
  const beyond = curve.rateAtEnd + (score - curve.end) * curve.slope;
  return Math.round(curve.measured.get(score) ?? (score < curve.end ? 0 : beyond));
}

function worstAt(curves: readonly Curve[], score: number): { curve: Curve; rate: number } {
  return curves
    .map((curve) => ({ curve, rate: rateOf(curve, score) }))
    .reduce((worst, candidate) => (candidate.rate > worst.rate ? candidate : worst));
}

/** Thousandths of log10 of the share of comparisons at or above each score, as far as MIN_SEEN supports it. */
function makeCurve({ counts, total }: ScoreHistogram, step: number): Curve {
  const ordered = [...counts].sort(([a], [b]) => b - a);
  const lowest = ordered.at(-1)?.[0] ?? 0;
  const highest = ordered[0]?.[0] ?? 0;
  const measured = new Map<number, number>();
  let next = 0;
  let seen = 0;
  for (let score = Math.floor(highest / step) * step; score >= Math.floor(lowest / step) * step; score -= step) {
    for (let entry = ordered[next]; entry !== undefined && entry[0] >= score; entry = ordered[++next]) seen += entry[1];
    if (seen >= MIN_SEEN) measured.set(score, Math.round(1000 * Math.log10(seen / total)));
  }
  const end = Math.max(...measured.keys());
  const rateAtEnd = measured.get(end) ?? 0;
  const tail = [...measured].filter(([, rate]) => rate <= rateAtEnd + TAIL_SPAN);
  const [from, rateFrom] = tail.reduce((first, entry) => (entry[0] < first[0] ? entry : first));
  return { measured, end, rateAtEnd, slope: from < end ? (rateAtEnd - rateFrom) / (end - from) : -1 };
}
