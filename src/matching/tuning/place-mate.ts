import type { SubjectEntry } from '../../gallery/catalogue.ts';
import type { Gallery } from '../../gallery/gallery.ts';
import { EVERYTHING } from '../../gallery/scope.ts';
import { thresholdFor } from '../rates/fusion.ts';
import { fuse } from '../search/candidate-list.ts';
import type { SearchRun } from '../search/candidate-source.ts';
import { compareChosen } from '../search/chosen-comparisons.ts';
import { chosenParts, placedParts, scanCodes, valueBytes } from '../search/code-scan.ts';
import type { PlacedPart } from '../search/code-tasks.ts';
import { exactShortlist } from '../search/exact-scan.ts';
import { isOfFaces, listKindOf, listSizes } from '../search/list-sizes.ts';
import type { Probe } from '../search/probe.ts';
import { compareSubjects, isNotable } from '../search/sample-scores.ts';
import { SearchTasks } from '../search/search-tasks.ts';
import { SearchView } from '../search/search-view.ts';
import type { ValueBuffers } from '../search/value-buffers.ts';
import { ONE_IN_ANY_CASE } from '../workers/comparison-order.ts';
import type { ComparisonOrder } from '../workers/messages.ts';
import { minSum } from '../workers/shortlister.ts';
import { STOP, StopSignal } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { MatePlace } from './chosen-lengths.ts';

/**
 * Finds the place of a mate in the lists of an indexed search of the whole gallery. One task at a time: a search that
 * comes meanwhile waits for one.
 * An exact search must have the mate, or its place says nothing. With fingers, the mate has to reach the service's
 * threshold, where hardly any non-mate precedes it. A face alone has to be the most similar one: in large galleries the
 * shipped calibration lets no face reach the threshold.
 * @param targetFpir - of the service
 * @param buffers - for the values of the scan
 * @returns undefined: an exact search would not have it, or it was removed
 * @throws the signal's reason
 */
export async function placeMate(
  gallery: Gallery,
  pool: WorkerPool,
  probes: readonly Probe[],
  mate: SubjectEntry,
  targetFpir: number,
  buffers: ValueBuffers,
  signal: AbortSignal,
): Promise<MatePlace | undefined> {
  signal.throwIfAborted();
  const stop = new StopSignal();
  const abandon = () => stop.raise(STOP.all);
  signal.addEventListener('abort', abandon, { once: true });
  const view = new SearchView(gallery, probes, EVERYTHING);
  try {
    const run: SearchRun = { view, tasks: new SearchTasks(1), stop, signal };
    const thresholdLog10 = thresholdFor(targetFpir, view.subjectsInScope);
    const isOfFace = isOfFaces(probes);
    if (!view.isPresent(mate)) return undefined;
    if (!isOfFace && !(await reaches(pool, probes, mate, thresholdLog10, run))) return undefined;
    const parts = placedParts(probes, view);
    const values = buffers.take(valueBytes(parts));
    await scanCodes(pool, probes, parts, values, run);
    if (signal.aborted) buffers.giveBack(values);
    signal.throwIfAborted();
    // Not of ordinals: two galleries of the same subjects may have different gaps.
    const { ranked } = listSizes(listKindOf(probes), undefined, gallery.storedSubjectCount, 0);
    const task = {
      kind: 'place',
      probes: probes.map(({ packed }) => packed),
      parts: chosenParts(parts),
      values,
      ordinals: view.ordinals,
      filter: view.filter,
      ranked,
      subject: mate.ordinal,
    } as const;
    const handles = parts.map(({ segment }) => segment.handle);
    const [place] = await run.tasks.all([() => pool.place(task, handles)]);
    // Not in a finally: after a failed task, its thread may still be writing.
    buffers.giveBack(values);
    // A subject that was expunged meanwhile says nothing about the lists.
    if (!view.isPresent(mate)) return undefined;
    const { byValues, byVectors, first } = place;
    // Whole embeddings rank faces as comparisons do.
    if (isOfFace) return byVectors === 1 ? { byValues, byVectors, among: ranked } : undefined;
    const isFound = await isFoundInTail(pool, probes, parts, mate, first, thresholdLog10, run);
    // Among the certain ones every comparison is complete.
    return { byValues, byVectors: isFound ? byVectors : ONE_IN_ANY_CASE * byVectors, among: ranked };
  } finally {
    signal.removeEventListener('abort', abandon);
    view.close();
  }
}

/** Whether the mate would be a candidate of an exact search. */
async function reaches(
  pool: WorkerPool,
  probes: readonly Probe[],
  mate: SubjectEntry,
  thresholdLog10: number,
  run: SearchRun,
): Promise<boolean> {
  const { scored } = await compareSubjects(probes, [mate], run, pool);
  run.signal.throwIfAborted();
  const scores = scored.get(mate);
  return scores !== undefined && isNotable(scores) && fuse([...scores.values()]) <= thresholdLog10;
}

/** Whether the comparisons that are made with subjects at the end of the list would find the mate. */
async function isFoundInTail(
  pool: WorkerPool,
  probes: readonly Probe[],
  parts: readonly PlacedPart[],
  mate: SubjectEntry,
  first: readonly number[],
  thresholdLog10: number,
  run: SearchRun,
): Promise<boolean> {
  const own = parts.map(({ number, segment }) =>
    Uint32Array.from(
      run.view.referencesFor(probes[number], mate).filter((reference) => reference.segment === segment),
      ({ index }) => index,
    ).sort(),
  );
  const none = new Uint32Array(0);
  const order: ComparisonOrder = {
    certain: parts.map(() => none),
    first: parts.map(({ instance }, p) => (first.includes(instance) ? own[p] : none)),
    rest: parts.map(({ instance }, p) => (first.includes(instance) ? none : own[p])),
  };
  const { rates } = await compareChosen(pool, probes, parts, order, run);
  return rates.best(exactShortlist(0), minSum(thresholdLog10)).includes(mate.ordinal);
}
