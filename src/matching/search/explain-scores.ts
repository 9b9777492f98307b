import type { ReferenceLocation } from '../../gallery/catalogue.ts';
import type { SampleScore } from './candidate-list.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';
import type { ExplainTask } from '../workers/messages.ts';
import type { Probe } from './probe.ts';
import { SearchTasks } from './search-tasks.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** A score to be explained, and its reference. */
export interface Unexplained {
  readonly score: SampleScore;
  /** In the gallery, or sent along; undefined when it no longer exists. */
  readonly reference: Pick<ReferenceLocation, 'segment' | 'index'> | Pick<Probe, 'packed'> | undefined;
}

/** The explanations by score. Faces, and references that no longer exist, have no entry. */
export type Explanations = ReadonlyMap<SampleScore, ExplainedComparison>;

/** Explains finger scores, one task per probe. The gallery view of the scores must still be open. */
export async function explainScores(pool: WorkerPool, wanted: readonly Unexplained[]): Promise<Explanations> {
  const explanations = new Map<SampleScore, ExplainedComparison>();
  const byProbe = Map.groupBy(wanted, ({ score }) => score.probe);
  // No task may be running when the view is closed, even after a failure.
  await new SearchTasks(Math.max(1, byProbe.size)).all(
    [...byProbe].map(([{ packed }, ofProbe]) => async () => {
      if (packed?.modality !== 'finger') return;
      const known = ofProbe.flatMap(({ score, reference }) => {
        const place = placeOf(reference);
        return place === undefined ? [] : [{ score, place }];
      });
      if (known.length === 0) return;
      const references = known.map(({ place }) => place);
      const handles = ofProbe.flatMap(({ reference }) =>
        reference !== undefined && 'segment' in reference ? [reference.segment.handle] : [],
      );
      const { explained } = await pool.explain({ kind: 'explain', probe: packed.packed, references }, handles);
      known.forEach(({ score }, i) => {
        const found = explained[i];
        if (found !== undefined) explanations.set(score, found);
      });
    }),
  );
  return explanations;
}

function placeOf(reference: Unexplained['reference']): ExplainTask['references'][number] | undefined {
  if (reference === undefined) return undefined;
  if ('segment' in reference) return { segment: reference.segment.handle.id, index: reference.index };
  return reference.packed?.modality === 'finger' ? reference.packed.packed : undefined;
}

/** The scores with their explanations, where known. */
export function withExplanations(scores: readonly SampleScore[], explanations: Explanations): SampleScore[] {
  return scores.map((score) => ({ ...score, explanation: explanations.get(score) }));
}
