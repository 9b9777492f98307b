/**
 * The time of a search at a given hit rate by gallery size, and the size from which a graph is faster than a scan. The
 * graph's time is fitted by a power of the size, a scan's by a straight line.
 */
import { costAt, fitCost, type CostLine } from '../harness/cost-line.ts';

/** What one setting of a method finds and costs. */
export interface SettingCost {
  readonly found: { readonly mates: number; readonly of: number };
  readonly milliseconds: number;
}

export interface PointOfSize {
  readonly subjects: number;
  readonly milliseconds: number;
}

/** Milliseconds = factor · subjects ^ exponent. */
export interface PowerLaw {
  readonly factor: number;
  readonly exponent: number;
}

/** Sizes beyond are not considered. */
const MOST_SUBJECTS = 1e10;

/**
 * The time at which a method finds a share of the mates: between two settings, a straight line of the logarithms of time
 * and of the share missed, to which half a mate is added. The first setting where it finds more than enough.
 * @param settings - by increasing effort
 * @returns undefined: no setting finds enough
 */
export function timeAtHitRate(settings: readonly SettingCost[], hitRate: number): number | undefined {
  const enough = settings.findIndex(({ found }) => found.mates >= hitRate * found.of);
  if (enough === -1) return undefined;
  const { milliseconds } = settings[enough];
  if (enough === 0) return milliseconds;
  const before = settings[enough - 1];
  const [wanted, m0, m1] = [1 - hitRate, missed(before), missed(settings[enough])].map(Math.log);
  const t = Math.max(0, Math.min(1, (wanted - m0) / (m1 - m0)));
  return Math.exp((1 - t) * Math.log(before.milliseconds) + t * Math.log(milliseconds));
}

function missed({ found: { mates, of } }: SettingCost): number {
  return (of - mates + 0.5) / (of + 1);
}

/** The least sum of squared relative errors, nearly. @param points - at least two sizes */
export function fitPower(points: readonly PointOfSize[]): PowerLaw {
  const logs = points.map(({ subjects, milliseconds }) => ({ x: Math.log(subjects), y: Math.log(milliseconds) }));
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(logs.map((point) => point.x)), mean(logs.map((point) => point.y))];
  const covariance = mean(logs.map((point) => (point.x - x) * (point.y - y)));
  const exponent = covariance / mean(logs.map((point) => (point.x - x) ** 2));
  return { factor: Math.exp(y - exponent * x), exponent };
}

export function fitLine(points: readonly PointOfSize[]): CostLine {
  return fitCost(points.map(({ subjects, milliseconds }) => ({ subjects, cost: milliseconds })));
}

/** @returns the size from which the graph is faster, for all greater ones; Infinity: none up to 10¹⁰ */
export function crossing(graph: PowerLaw, scan: CostLine): number {
  const isFaster = (subjects: number) => graph.factor * subjects ** graph.exponent < costAt(scan, subjects);
  if (!isFaster(MOST_SUBJECTS)) return Infinity;
  let faster = MOST_SUBJECTS;
  // Down to the greatest size, of a fine grid, at which it is not faster.
  while (faster > 1 && isFaster(faster / 1.05)) faster /= 1.05;
  if (faster <= 1) return 1;
  let slower = faster / 1.05;
  for (let i = 0; i < 40; i++) {
    const middle = Math.sqrt(slower * faster);
    if (isFaster(middle)) faster = middle;
    else slower = middle;
  }
  return faster;
}

export interface Growth {
  readonly graph: PowerLaw;
  readonly scan: CostLine;
  /** The size from which the graph is faster; Infinity: none. */
  readonly crossing: number;
  /** The same by every two of the sizes. */
  readonly crossings: readonly [least: number, most: number];
}

/** @returns undefined: fewer than two sizes that both were measured at */
export function growthOf(graph: readonly PointOfSize[], scan: readonly PointOfSize[]): Growth | undefined {
  const sizes = graph.map(({ subjects }) => subjects).filter((size) => scan.some(({ subjects }) => subjects === size));
  if (sizes.length < 2) return undefined;
  const fitted = (chosen: readonly number[]) => {
    const [a, b] = [graph, scan].map((points) => points.filter(({ subjects }) => chosen.includes(subjects)));
    return { graph: fitPower(a), scan: fitLine(b) };
  };
  const whole = fitted(sizes);
  const pairs = sizes.flatMap((one, i) => sizes.slice(i + 1).map((other) => fitted([one, other])));
  const each = pairs.map((pair) => crossing(pair.graph, pair.scan));
  return {
    ...whole,
    crossing: crossing(whole.graph, whole.scan),
    crossings: [Math.min(...each), Math.max(...each)],
  };
}
