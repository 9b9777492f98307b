import type { ReferenceLocation } from '../../gallery/catalogue.ts';
import type { SampleScore } from './candidate-list.ts';
import type { ExplainedComparison } from '../model/explained-comparison.ts';
import type { ExplainTask } from '../workers/messages.ts';
import type { Probe } from './probe.ts';
import { SearchTasks } from './search-tasks.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** A score that is to be explained, and the reference that gave it. */
export interface Unexplained {
  readonly score: SampleScore;
  /** In the gallery, or sent along; undefined when it is not there any more. */
  readonly reference: Pick<ReferenceLocation, 'segment' | 'index'> | Pick<Probe, 'packed'> | undefined;
}

/** What each explained score comes from. Faces, and references that are gone, have no entry. */
export type Explanations = ReadonlyMap<SampleScore, ExplainedComparison>;

/** Explains finger scores, one task for each probe. The view of the gallery that they came from must still be open. */
export async function explainScores(pool: WorkerPool, wanted: readonly Unexplained[]): Promise<Explanations> {
  const explanations = new Map<SampleScore, ExplainedComparison>();
  const byProbe = Map.groupBy(wanted, ({ score }) => score.probe);
  // Nothing may be under way when the view is closed, whatever fails.
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

/** The same scores, with what is known about them. */
export function withExplanations(scores: readonly SampleScore[], explanations: Explanations): SampleScore[] {
  return scores.map((score) => ({ ...score, explanation: explanations.get(score) }));
}
