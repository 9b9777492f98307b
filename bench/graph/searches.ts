/** Searches of a graph and exact scans, interleaved on this thread. */
import type { HierarchicalNSW } from 'hnswlib-node';
import type { Limits } from '../harness/limits.ts';
import { medianOf } from '../harness/spread.ts';
import { binomialLimits } from '../../index-builder/statistics/binomial-limits.ts';
import type { ExactScan } from './exact-scan.ts';
import type { FaceSet } from './face-set.ts';
import { project, type Projection } from './projection.ts';

/** Length of a candidate list, to be ranked by exact comparison. */
export const LIST_LENGTH = 50;
/** Searches by one method per turn: enough that a graph's upper layers stay in the caches. */
const PER_TURN = 20;

export interface ShareOfMates {
  readonly mates: number;
  readonly share: number;
  readonly limits: Limits;
}

export interface GraphFigures {
  readonly ef: number;
  /** Of the mates at rank 1 of the scan: share at rank 1, and within the first LIST_LENGTH. */
  readonly first: ShareOfMates;
  readonly listed: ShareOfMates;
  /** Median time of a search. */
  readonly milliseconds: number;
  /** Speed-up over the scan for the same probes: the median of the turns. */
  readonly timesFaster: number;
}

export interface SearchFigures {
  readonly searches: number;
  /** Mates at rank 1 of the scan. */
  readonly firstByScan: number;
  readonly scanMilliseconds: number;
  readonly graph: readonly GraphFigures[];
}

export function compareWithScan(
  { probes }: FaceSet,
  scan: ExactScan,
  index: HierarchicalNSW,
  projection: Projection,
  efs: readonly number[],
): SearchFigures {
  const vectors = probes.map((probe) => project(projection, probe));
  const isFirst = probes.map((probe, mate) => scan.isFirst(probe, mate));
  const firstByScan = isFirst.filter(Boolean).length;
  const scanTimes: number[] = [];
  const ways = efs.map((ef) => ({ ef, times: [] as number[], ratios: [] as number[], first: 0, listed: 0 }));
  for (let from = 0; from < probes.length; from += PER_TURN) {
    const turn = Array.from({ length: Math.min(PER_TURN, probes.length - from) }, (_, i) => from + i);
    const scanned = turn.map((mate) => timed(() => scan.search(probes[mate])).milliseconds);
    scanTimes.push(...scanned);
    for (const way of ways) {
      index.setEf(way.ef);
      const searched = turn.map((mate) => {
        const { result, milliseconds } = timed(() => index.searchKnn(vectors[mate], LIST_LENGTH));
        if (isFirst[mate] && result.neighbors[0] === mate) way.first++;
        if (isFirst[mate] && result.neighbors.includes(mate)) way.listed++;
        return milliseconds;
      });
      way.times.push(...searched);
      way.ratios.push(sum(scanned) / sum(searched));
    }
  }
  const share = (mates: number) => ({
    mates,
    share: mates / firstByScan,
    limits: binomialLimits(mates, firstByScan),
  });
  return {
    searches: probes.length,
    firstByScan,
    scanMilliseconds: medianOf(scanTimes),
    graph: ways.map(({ ef, times, ratios, first, listed }) => ({
      ef,
      first: share(first),
      listed: share(listed),
      milliseconds: medianOf(times),
      timesFaster: medianOf(ratios),
    })),
  };
}

export interface DeletionFigures {
  /** Mates that were found before and are now marked as deleted. */
  readonly deleted: number;
  /** Deleted mates that are returned for another capture, or for the enrolled one. */
  readonly returned: number;
  /** Lists shorter than LIST_LENGTH. */
  readonly shortLists: number;
}

/** Marks mates as deleted in the graph, permanently, and searches for them with the largest ef used. */
export function seekDeleted(
  { probes, references, dimension }: FaceSet,
  index: HierarchicalNSW,
  projection: Projection,
  ef: number,
  most: number,
): DeletionFigures {
  index.setEf(ef);
  const seek = (face: Int8Array) => index.searchKnn(project(projection, face), LIST_LENGTH).neighbors;
  const mates = probes.flatMap((probe, mate) => (seek(probe)[0] === mate ? [mate] : [])).slice(0, most);
  for (const mate of mates) index.markDelete(mate);
  let [returned, shortLists] = [0, 0];
  for (const mate of mates) {
    const enrolled = references.subarray(mate * dimension, (mate + 1) * dimension);
    const lists = [seek(probes[mate]), seek(enrolled)];
    if (lists.some((list) => list.includes(mate))) returned++;
    shortLists += lists.filter((list) => list.length < LIST_LENGTH).length;
  }
  return { deleted: mates.length, returned, shortLists };
}

function timed<T>(work: () => T): { readonly result: T; readonly milliseconds: number } {
  const before = performance.now();
  const result = work();
  return { result, milliseconds: performance.now() - before };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
