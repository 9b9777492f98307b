/** Error rates of strata at one threshold (ISO/IEC 19795-10): differential performance at one setting. */
import { Random } from '../../src/random.ts';
import { areMates } from '../../index-builder/prints/labelled-prints.ts';
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import { resampledLimits, type Limits } from '../harness/limits.ts';
import type { ScoredSet } from '../scores/scored-set.ts';
import { SEEDS } from '../harness/seeds.ts';
import type { Column } from './columns.ts';

const REPLICATES = 500;
/** Smallest number of fingers for a rate. */
export const MIN_FINGERS = 10;

/** A comparison of a stratum. */
interface Counted {
  readonly isMated: boolean;
  /** Numbers of the two fingers. */
  readonly fingers: readonly [number, number];
  readonly isError: boolean;
}

export interface Rate {
  readonly comparisons: number;
  readonly fingers: number;
  readonly share: number;
  /** 95 %, by the subset bootstrap; without errors, Clopper-Pearson with as many trials as fingers. */
  readonly limits: Limits;
}

export interface Stratum {
  readonly value: string;
  /** undefined: fewer than MIN_FINGERS fingers. */
  readonly fnmr: Rate | undefined;
  readonly fmr: Rate | undefined;
}

/** The rates of all comparisons, and of each value of a column. */
export function strataOf(sets: readonly ScoredSet[], threshold: number, column: Column | undefined): Stratum[] {
  const strata = new Map<string, Counted[]>();
  const fingers = new Map<string, number>();
  const numberOf = (set: string, finger: string) => {
    const key = `${set} ${finger}`;
    const known = fingers.get(key) ?? fingers.size;
    fingers.set(key, known);
    return known;
  };
  for (const { set, pairs, scores } of sets) {
    const values = set.list.map((print) => (column === undefined ? 'all' : column.valueOf(print, set)));
    const numbers = set.list.map(({ finger }) => numberOf(set.name, finger));
    scores.forEach((score, i) => {
      const [a, b] = [pairs[2 * i], pairs[2 * i + 1]];
      const value = together(values[a], values[b], column?.order);
      if (value === undefined) return;
      const isMated = areMates(set.list[a], set.list[b]);
      const counted = strata.get(value) ?? [];
      strata.set(value, counted);
      counted.push({ isMated, fingers: [numbers[a], numbers[b]], isError: isMated !== score >= threshold });
    });
  }
  const order = column?.order ?? [...strata.keys()].sort();
  return order.flatMap((value) => {
    const counted = strata.get(value);
    if (counted === undefined) return [];
    return [{ value, fnmr: rateOf(counted, true), fmr: rateOf(counted, false) }];
  });
}

function together(a: string | undefined, b: string | undefined, order: readonly string[] | undefined) {
  if (a === undefined || b === undefined || a === b) return a === b ? a : undefined;
  return order?.find((value) => value === a || value === b);
}

function rateOf(all: readonly Counted[], isMated: boolean): Rate | undefined {
  const counted = all.filter((one) => one.isMated === isMated);
  const names = [...new Set(counted.flatMap(({ fingers }) => fingers))];
  if (names.length < MIN_FINGERS) return undefined;
  const errors = counted.filter(({ isError }) => isError).length;
  return {
    comparisons: counted.length,
    fingers: names.length,
    share: errors / counted.length,
    limits: errors === 0 ? binomialLimits(0, names.length) : drawn(counted, names),
  };
}

/** The subset bootstrap, see bench/accuracy/confidence.ts: fingers are drawn; a comparison counts by its two fingers. */
function drawn(counted: readonly Counted[], names: readonly number[]): Limits {
  const position = new Map(names.map((name, i) => [name, i]));
  const a = Int32Array.from(counted, ({ fingers }) => position.get(fingers[0]) ?? 0);
  const b = Int32Array.from(counted, ({ fingers }) => position.get(fingers[1]) ?? 0);
  const isError = Uint8Array.from(counted, (one) => Number(one.isError));
  const times = new Int32Array(names.length);
  const shares: number[] = [];
  for (let r = 0; r < REPLICATES; r++) {
    const random = new Random(SEEDS.bootstrap, r);
    times.fill(0);
    for (let i = 0; i < names.length; i++) times[random.below(names.length)]++;
    let [trials, errors] = [0, 0];
    for (let i = 0; i < a.length; i++) {
      const weight = a[i] === b[i] ? times[a[i]] : times[a[i]] * times[b[i]];
      trials += weight;
      errors += weight * isError[i];
    }
    if (trials > 0) shares.push(errors / trials);
  }
  return resampledLimits(shares) ?? [0, 1];
}
