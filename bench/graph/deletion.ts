/**
 * Expunging subjects from a graph. hnswlib only marks a vector as deleted and keeps it, so it is overwritten before, by
 * zeros, which links it anew.
 */
import type { ListMethod } from './methods.ts';
import type { References } from './references.ts';
import { foundFirst, shareOf, type ShareOfMates } from './searches.ts';
import { projected, searchGraphs, type PositionGraph } from './vector-graph.ts';
import { enrolledSample, type VectorSet } from './vector-set.ts';

export interface DeletionFigures {
  readonly expunged: number;
  /** Expunged mates that are listed for their other capture, or for the enrolled one. */
  readonly returned: number;
  /** Expunged vectors that the graph still has. */
  readonly kept: number;
  /** Thread time of one subject in the graph: overwriting and marking. */
  readonly graphMilliseconds: number;
  /** Thread time of one subject in the segments: vectors and codes hidden and overwritten. */
  readonly segmentMicroseconds: number;
  /** For each ef: of the other mates at rank 1 of the scan, the share that the graph has at rank 1. */
  readonly recall: readonly { readonly ef: number; readonly before: ShareOfMates; readonly after: ShareOfMates }[];
}

/** Every second mate is expunged, up to this number. */
const MOST_MATES = 200;
/** Mates that are searched before and after, and the greatest ef. */
const MOST_PROBES = 1000;
const MOST_EF = 400;
/** Overwriting takes some ten milliseconds. */
const MOST_EXPUNGED = 5000;

/**
 * Expunges a share of the subjects from graphs and references, permanently.
 * @param allMethods - searches of the graphs
 */
export function expungeSubjects(
  set: VectorSet,
  references: References,
  graphs: readonly PositionGraph[],
  allMethods: readonly ListMethod[],
  share: number,
): DeletionFigures {
  const methods = allMethods.filter(({ setting }, i) => i === 0 || setting <= MOST_EF);
  const mates = set.kinds[0].probes.length;
  const probes = set.kinds[0].probes.slice(0, MOST_PROBES);
  const expunged = expungedRows(set.subjects, mates, share);
  const isKept = probes.map((probe, mate) => !expunged.has(mate) && references.othersBefore(probe, mate) === 0);
  const keptMates = isKept.filter(Boolean).length;
  const recall = () =>
    methods.map((method) => {
      const found = foundFirst(method, probes).filter((isFound, mate) => isFound && isKept[mate]);
      return shareOf(found.length, keptMates);
    });
  const before = recall();
  const enrolled = [...expunged].filter((row) => row < probes.length).map((row) => ({ row, sample: copyOf(set, row) }));
  const graphMicroseconds = threadTime(() => {
    for (const { index, projection } of graphs) {
      const zeros = new Array<number>(projection.size).fill(0);
      for (const row of expunged) {
        index.addPoint(zeros, row);
        index.markDelete(row);
      }
    }
  });
  const segmentMicroseconds = threadTime(() => expunged.forEach((row) => references.expunge(row)));
  const most = Math.max(...methods.map(({ setting }) => setting));
  const returned = enrolled.filter(({ row, sample }) =>
    [probes[row], sample].some((probe) => searchGraphs(graphs, projected(graphs, probe), most).includes(row)),
  ).length;
  const kept = [...expunged].filter((row) => graphs.some((graph) => hasVector(graph, row))).length;
  const after = recall();
  return {
    expunged: expunged.size,
    returned,
    kept,
    graphMilliseconds: graphMicroseconds / 1000 / expunged.size,
    segmentMicroseconds: segmentMicroseconds / expunged.size,
    recall: methods.map(({ setting }, i) => ({ ef: setting, before: before[i], after: after[i] })),
  };
}

/** Whether the graph has more than zeros for a deleted row. hnswlib tells only of rows that are not deleted. */
function hasVector({ index }: PositionGraph, row: number): boolean {
  index.unmarkDelete(row);
  const vector = index.getPoint(row);
  index.markDelete(row);
  return vector.some((value) => value !== 0);
}

/** Some mates, and others spread over the gallery. */
function expungedRows(subjects: number, mates: number, share: number): Set<number> {
  const rows = new Set<number>();
  for (let mate = 1; mate < mates && rows.size < MOST_MATES; mate += 2) rows.add(mate);
  const strangers = Math.min(subjects - mates, Math.min(MOST_EXPUNGED, Math.ceil(share * subjects)) - rows.size);
  for (let i = 0; i < strangers; i++) rows.add(mates + Math.floor((i * (subjects - mates)) / strangers));
  return rows;
}

function copyOf(set: VectorSet, row: number): Int8Array[] {
  return enrolledSample(set, row).map((vector) => Int8Array.from(vector));
}

/** @returns microseconds of this thread */
function threadTime(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return user + system;
}
