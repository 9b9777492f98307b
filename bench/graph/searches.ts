/** Searches by graph, by codes and by the exact scan, by turns on this thread. */
import { binomialLimits } from '../../src/matching/rates/binomial-limits.ts';
import type { Limits } from '../harness/limits.ts';
import { medianOf } from '../harness/spread.ts';
import { SHORTLIST } from '../../src/matching/search/list-sizes.ts';
import type { ListMethod } from './methods.ts';
import type { References } from './references.ts';
import type { ProbeKind, Sample } from './vector-set.ts';

/** Searches by one method per turn: enough that a graph's upper layers stay in the caches. */
const PER_TURN = 20;
/** Probes whose times count. The others are searched once, for the recall. */
const TIMED = 500;

export interface ShareOfMates {
  readonly mates: number;
  readonly of: number;
  readonly share: number;
  readonly limits: Limits;
}

export interface MethodFigures {
  /** Of the mates at rank 1 of the scan: share at rank 1. */
  readonly first: ShareOfMates;
  /** Of the mates that the scan has among those it would compare: share in the list. */
  readonly compared: ShareOfMates;
  /** Median length of the lists. */
  readonly listLength: number;
  /** Median over the timed probes of the least time of a search. */
  readonly milliseconds: number;
  /** Speed-up over the scan of whole vectors for the same probes: the median of the turns. */
  readonly timesFaster: number;
}

export type GraphFigures = MethodFigures & { readonly ef: number };
export type CodeFigures = MethodFigures & { readonly chosen: number };

export interface SearchFigures {
  readonly kind: string;
  readonly searches: number;
  /** Mates at rank 1 of the scan. */
  readonly firstByScan: number;
  /** Mates within the service's share of the most similar. */
  readonly comparedByScan: number;
  readonly scanMilliseconds: number;
  readonly codes: readonly CodeFigures[];
  readonly graph: readonly GraphFigures[];
}

export interface Methods {
  readonly codes: readonly ListMethod[];
  readonly graph: readonly ListMethod[];
}

/** @param rounds - searches of each timed probe by each method; the least time counts */
export function compareMethods(
  { kind, probes }: ProbeKind,
  subjects: number,
  references: References,
  { codes, graph }: Methods,
  rounds: number,
): SearchFigures {
  const others = probes.map((probe, mate) => references.othersBefore(probe, mate));
  const isFirst = others.map((before) => before === 0);
  const isCompared = others.map((before) => before < SHORTLIST.share * subjects);
  const [firstByScan, comparedByScan] = [isFirst, isCompared].map((flags) => flags.filter(Boolean).length);
  const scan = { least: new Float64Array(probes.length).fill(Infinity) };
  const runs = [...codes, ...graph].map((method) => ({
    method,
    least: new Float64Array(probes.length).fill(Infinity),
    ratios: [] as number[],
    lengths: [] as number[],
    first: 0,
    compared: 0,
  }));
  for (const turn of turnsOf(probes.length)) {
    const isTimed = turn[0] < TIMED;
    for (let round = 0; round < (isTimed ? rounds : 1); round++) {
      if (isTimed) for (const mate of turn) time(scan.least, mate, () => references.search(probes[mate]));
      for (const run of runs) {
        for (const mate of turn) {
          const { rows, first } = time(run.least, mate, run.method.prepare(probes[mate]));
          if (round > 0) continue;
          run.lengths.push(rows.length);
          if (isFirst[mate] && first === mate) run.first++;
          if (isCompared[mate] && rows.includes(mate)) run.compared++;
        }
      }
    }
    if (isTimed) for (const run of runs) run.ratios.push(sumAt(scan.least, turn) / sumAt(run.least, turn));
  }
  const figures = runs.map(({ first, compared, least, ratios, lengths }): MethodFigures => ({
    first: shareOf(first, firstByScan),
    compared: shareOf(compared, comparedByScan),
    listLength: medianOf(lengths),
    milliseconds: medianOf([...least.subarray(0, TIMED)]),
    timesFaster: medianOf(ratios),
  }));
  return {
    kind,
    searches: probes.length,
    firstByScan,
    comparedByScan,
    scanMilliseconds: medianOf([...scan.least.subarray(0, TIMED)]),
    codes: codes.map(({ setting }, i) => ({ chosen: setting, ...figures[i] })),
    graph: graph.map(({ setting }, i) => ({ ef: setting, ...figures[codes.length + i] })),
  };
}

export function shareOf(mates: number, of: number): ShareOfMates {
  return { mates, of, share: mates / of, limits: binomialLimits(mates, of) };
}

/** @returns the mates that a method has at the first place, as flags */
export function foundFirst(method: ListMethod, probes: readonly Sample[]): boolean[] {
  return probes.map((probe, mate) => method.prepare(probe)().first === mate);
}

function turnsOf(probes: number): number[][] {
  return Array.from({ length: Math.ceil(probes / PER_TURN) }, (_, turn) =>
    Array.from({ length: Math.min(PER_TURN, probes - turn * PER_TURN) }, (__, i) => turn * PER_TURN + i),
  );
}

function time<T>(least: Float64Array, at: number, work: () => T): T {
  const before = performance.now();
  const result = work();
  least[at] = Math.min(least[at], performance.now() - before);
  return result;
}

function sumAt(values: Float64Array, at: readonly number[]): number {
  return at.reduce((sum, i) => sum + values[i], 0);
}
