import type { ReferenceLocation, SubjectEntry, SubjectSegment } from '../gallery/catalogue.ts';
import type { FingerPosition } from '../templates/finger-template.ts';
import { sampleScore, traitOf } from './candidate-list.ts';
import type { Scores } from './candidate-source.ts';
import { REMOVED_SCORE } from './kernels.ts';
import type { Probe } from './probe.ts';
import type { SearchView } from './search-view.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Comparisons per task: a few milliseconds of work, so that a long shortlist is shared among the threads. */
const COMPARISONS_PER_TASK = 512;

/** The finger position of a reference; 0 for a face, or when it is not known. */
export function positionOf(location: ReferenceLocation | undefined): FingerPosition {
  return location?.partition.modality === 'finger' ? location.partition.position : 0;
}

/** Keeps the higher score; of equal ones the lower reference id, so that the order of the work does not matter. */
export function keepBest(
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
  const reference = { referenceId, trait: traitOf(probe, position, referenceId) };
  scores.set(probe, sampleScore(probe, reference, score, comparisons));
}

interface Pair {
  readonly scores: Scores;
  readonly location: ReferenceLocation;
  readonly comparisons: number;
}

/**
 * Compares each probe with the subjects that have no score for it yet, exactly, and enters the scores.
 * @param control - word 0 becomes 1 when the search was given up: what is left is left out
 * @returns for each probe: comparisons
 */
export async function compareMissing(
  probes: readonly Probe[],
  subjects: Map<SubjectEntry, Scores>,
  view: SearchView,
  pool: WorkerPool,
  control: SharedArrayBuffer,
): Promise<number[]> {
  const work: Promise<void>[] = [];
  const counts = probes.map(() => 0);
  for (const [p, probe] of probes.entries()) {
    const { packed } = probe;
    if (packed === undefined) continue;
    for (const [segment, all] of pairsBySegment(probe, subjects, view)) {
      for (let start = 0; start < all.length; start += COMPARISONS_PER_TASK) {
        const pairs = all.slice(start, start + COMPARISONS_PER_TASK);
        counts[p] += pairs.length;
        const indices = Uint32Array.from(pairs, ({ location }) => location.index);
        const task = { kind: 'compare', probe: packed, segment: segment.handle, indices, control } as const;
        work.push(
          pool.compare(task).then(({ scores }) =>
            pairs.forEach((pair, i) => {
              const { referenceId } = pair.location;
              const score = scores[i];
              if (score === REMOVED_SCORE) return;
              keepBest(pair.scores, probe, referenceId, positionOf(pair.location), score, pair.comparisons);
            }),
          ),
        );
      }
    }
  }
  await Promise.all(work);
  return counts;
}

function pairsBySegment(probe: Probe, subjects: Map<SubjectEntry, Scores>, view: SearchView) {
  const bySegment = new Map<SubjectSegment, Pair[]>();
  for (const [subject, scores] of subjects) {
    if (scores.has(probe)) continue;
    const references = view.referencesFor(probe, subject);
    for (const location of references) {
      let pairs = bySegment.get(location.segment);
      if (pairs === undefined) bySegment.set(location.segment, (pairs = []));
      pairs.push({ scores, location, comparisons: references.length });
    }
  }
  return bySegment;
}
