/** Plots the cost of searches by number of subjects, and the prediction. */
import { plot, type Point } from '../drawing/plot.ts';
import { costAt, fitCost, type CostLine } from '../harness/cost-line.ts';

export interface CostRow {
  readonly subjects: number;
  readonly kind: string;
  readonly way: string;
  /** Milliseconds. */
  readonly cost: number;
}

export interface CostCurve {
  readonly name: string;
  readonly points: readonly CostRow[];
  /** Undefined: too few sizes for a prediction. */
  readonly line: CostLine | undefined;
}

/** Below this the planner searches exactly; that cost is another line. */
const MIN_FITTED = 100_000;
const PREDICTED_TIMES = 10;

/** A curve for each kind of search and search mode. */
export function costCurves(rows: readonly CostRow[]): CostCurve[] {
  const nameOf = ({ kind, way }: CostRow) => `${kind}, ${way}`;
  return [...new Set(rows.map(nameOf))].map((name) => {
    const points = rows.filter((row) => nameOf(row) === name);
    const fitted = points.filter(({ subjects }) => subjects >= MIN_FITTED);
    return { name, points, line: fitted.length < 2 ? undefined : fitCost(fitted) };
  });
}

/** Number of subjects of the prediction. */
export function predictedSize(rows: readonly CostRow[]): number {
  return PREDICTED_TIMES * Math.max(...rows.map(({ subjects }) => subjects));
}

/** As SVG; both axes are logarithmic. Dots were measured, dashes are predicted. */
export function costPlot(rows: readonly CostRow[]): string {
  const size = predictedSize(rows);
  const label = (value: number) => value.toLocaleString('en');
  return plot({
    title: 'Search cost by gallery size (dashed: predicted)',
    x: { name: 'subjects', isLogarithmic: true, label },
    y: { name: 'CPU milliseconds', isLogarithmic: true, label },
    lines: costCurves(rows).map(({ name, points, line }) => ({
      name,
      points: points.map(({ subjects, cost }) => ({ x: subjects, y: cost })),
      beyond: line === undefined ? [] : predicted(line, points[points.length - 1].subjects, size),
    })),
  });
}

const STEPS = 12;

/** Points of the line: on logarithmic axes it is a curve. */
function predicted(line: CostLine, from: number, to: number): Point[] {
  return Array.from({ length: STEPS }, (_, i) => {
    const subjects = from * (to / from) ** ((i + 1) / STEPS);
    return { x: subjects, y: costAt(line, subjects) };
  });
}
