import type { ReferenceLocation, SubjectEntry } from '../../gallery/catalogue.ts';
import type { Segment } from '../../gallery/segment.ts';
import type { FingerPosition } from '../../templates/finger-template.ts';
import { sampleScore, instanceNameOf, type SampleScore, type Scores } from './candidate-list.ts';
import type { ComparedSubjects, SearchRun } from './candidate-source.ts';
import { FLOOR_LOG10_FMR } from '../rates/fusion.ts';
import { comparisons } from './comparisons.ts';
import { REMOVED_SCORE } from '../kernels/kernels.ts';
import type { CompareResult } from '../workers/messages.ts';
import type { Probe } from './probe.ts';
import type { KnownScores } from './known-scores.ts';
import type { SearchView } from './search-view.ts';
import type { StopMark } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** The finger position of a reference; 0 for a face or an unknown position. */
export function positionOf(location: ReferenceLocation): FingerPosition {
  return location.partition.modality === 'finger' ? location.partition.position : 0;
}

/**
 * Whether one sample has a rate low enough for a candidate. A subject without one is not a candidate, whatever its
 * source.
 */
export function isNotable(scores: Scores | undefined): boolean {
  for (const { log10Fmr } of scores?.values() ?? []) if (log10Fmr <= FLOOR_LOG10_FMR) return true;
  return false;
}

/** Keeps the higher score, or of equal scores the lower reference id: the order of the work must not matter. */
function keepBest(
  scores: Scores,
  probe: Probe,
  referenceId: string,
  position: FingerPosition,
  score: number,
  comparisons: number,
): void {
  const best = scores.get(probe);
  const better =
    best === undefined ||
    score > best.score ||
    (score === best.score && best.referenceId !== undefined && referenceId < best.referenceId);
  if (!better) return;
  const reference = { referenceId, instance: instanceNameOf(probe, position, referenceId) };
  scores.set(probe, sampleScore(probe, reference, score, comparisons));
}

interface Pair {
  readonly scores: Scores;
  readonly location: ReferenceLocation;
  readonly comparisons: number;
}

interface ComparisonLimits {
  /** When to stop; undefined: when the answer is no longer wanted. */
  readonly until?: StopMark | undefined;
  /** Pairs that need not be compared. */
  readonly known?: KnownScores | undefined;
}

/**
 * Compares each probe with every comparable reference of the subjects.
 * @returns the scores obtained until then
 */
export async function compareSubjects(
  probes: readonly Probe[],
  subjects: readonly SubjectEntry[],
  { view, tasks, stop }: SearchRun,
  pool: WorkerPool,
  { until = stop.all, known }: ComparisonLimits = {},
): Promise<ComparedSubjects> {
  const scored = new Map(subjects.map((subject): [SubjectEntry, Scores] => [subject, new Map<Probe, SampleScore>()]));
  const compared = probes.map(() => 0);
  const jobs: (() => Promise<void>)[] = [];
  for (const [p, probe] of probes.entries()) {
    const { packed } = probe;
    if (packed === undefined) continue;
    const bySegment = [...pairsBySegment(probe, scored, view, (location) => known?.of(p, location))];
    const pieces = bySegment.map(([segment, pairs]) => ({
      segment,
      indices: Uint32Array.from(pairs, ({ location }) => location.index),
    }));
    const all = bySegment.flatMap(([, pairs]) => pairs);
    const take = (result: CompareResult, first: number) => {
      compared[p] += result.compared;
      result.scores.forEach((score, i) => {
        const { scores, location, comparisons: count } = all[first + i];
        if (score === REMOVED_SCORE) return;
        keepBest(scores, probe, location.referenceId, positionOf(location), score, count);
      });
    };
    jobs.push(...comparisons(pool, packed, pieces, until, undefined, take));
  }
  await tasks.all(jobs);
  return { scored, compared };
}

/** Pairs to compare. Pairs with a known score get it at once. */
function pairsBySegment(
  probe: Probe,
  scored: ReadonlyMap<SubjectEntry, Scores>,
  view: SearchView,
  knownScore: (location: ReferenceLocation) => number | undefined,
) {
  const bySegment = new Map<Segment, Pair[]>();
  for (const [subject, scores] of scored) {
    const references = view.referencesFor(probe, subject);
    for (const location of references) {
      const score = knownScore(location);
      if (score !== undefined) {
        keepBest(scores, probe, location.referenceId, positionOf(location), score, references.length);
        continue;
      }
      let pairs = bySegment.get(location.segment);
      if (pairs === undefined) bySegment.set(location.segment, (pairs = []));
      pairs.push({ scores, location, comparisons: references.length });
    }
  }
  return bySegment;
}
