import { countReferences } from '../../gallery/partition.ts';
import type { ShortlistTask } from '../workers/messages.ts';
import { minSum } from '../workers/shortlister.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { CandidateSource, Proposal, SearchRun, SearchTarget } from './candidate-source.ts';
import { COMPARISONS_PER_TASK } from './comparisons.ts';
import type { Probe } from './probe.ts';
import { faceKindOf, referencesOf, scanParts, shareRead, type ScanPart } from './scan-parts.ts';
import { FACES_PER_TASK, scanTasks } from './scan-tasks.ts';
import type { SearchView } from './search-view.ts';
import { inSharedOrder } from './shared-order.ts';
import { ValueBuffers } from './value-buffers.ts';

/** Minimum number of subjects for the second stage: with fewer, the first stage would decide the end of the list. */
const MIN_SHORTLIST = 200;
const SHORTLIST_PER_CANDIDATE = 4;

/** Subjects that an exact search proposes. */
export function exactShortlist(maxCandidates: number): number {
  return Math.max(MIN_SHORTLIST, SHORTLIST_PER_CANDIDATE * maxCandidates);
}

/**
 * Compares every reference in scope, fuses the rates of each subject, and proposes the subjects with the lowest fused
 * rates. Fusion matters: two fingers that are each in the top twentieth make a strong pair.
 */
export class ExactScan implements CandidateSource {
  readonly mode = 'exact';
  readonly #pool: WorkerPool;
  readonly #buffers = new ValueBuffers();

  constructor(pool: WorkerPool) {
    this.#pool = pool;
  }

  expectedMs(probes: readonly Probe[], view: SearchView): number {
    const { finger, face, merge } = this.#pool.costs;
    return probes.reduce((sum, probe) => {
      if (probe.packed === undefined) return sum;
      const all = countReferences(view.rangesFor(probe));
      const references = view.filter === undefined ? all : all * view.scopeShare;
      const compare = probe.packed.modality === 'finger' ? finger : face;
      const merged = all + view.ordinals + (view.filter === undefined ? 0 : all);
      const proposed = Math.min(exactShortlist(0), references);
      return sum + compare.milliseconds(references + proposed) + merge.milliseconds(merged);
    }, 0);
  }

  async propose(
    probes: readonly Probe[],
    { maxCandidates, thresholdLog10 }: SearchTarget,
    { view, tasks, stop, signal }: SearchRun,
  ): Promise<Proposal> {
    const parts = scanParts(probes, view);
    const end = referencesOf(parts);
    const similarities = this.#buffers.take(2 * end);
    const searched = probes.map(() => 0);
    let read = 0;
    const jobs = parts.flatMap((part) =>
      scanTasks(this.#pool, part, stepOf(part, view), similarities, part.before, view, stop.scan).map(
        ({ name, run }) => ({
          name,
          run: async () => {
            const result = await run();
            read += result.read;
            searched[part.number] += result.searched;
          },
        }),
      ),
    );
    await tasks.all(inSharedOrder(jobs, () => this.#pool.joinable()));
    // No task is running: unlike after a failure, no thread writes to it.
    if (signal.aborted) this.#buffers.giveBack(similarities);
    signal.throwIfAborted();
    const scanned = shareRead(read, end, view);
    const task: ShortlistTask = {
      kind: 'shortlist',
      parts: parts.map(({ instance, segment, end: count, before, packed }) => {
        return { instance, segment: segment.handle.id, count, offset: before, face: faceKindOf(packed) };
      }),
      similarities,
      wanted: exactShortlist(maxCandidates),
      // After an incomplete scan, the second stage may find the rest of the evidence in what was not scanned.
      least: minSum(scanned === 1 ? thresholdLog10 : 0),
      ordinals: view.ordinals,
    };
    const handles = parts.map(({ segment }) => segment.handle);
    const [{ subjects: ordinals }] = await tasks.all([() => this.#pool.shortlist(task, handles)]);
    // Not in a finally: after a failed task, its thread may still be writing.
    this.#buffers.giveBack(similarities);
    const subjects = view.subjectsWithOrdinals(ordinals);
    return { subjects, compared: searched, penetration: scanned, mode: 'exact', searchedFraction: scanned };
  }
}

/** References per task: of fingers fewer, as many as have the comparisons of one task in scope. */
function stepOf({ packed }: ScanPart, { filter, scopeShare }: SearchView): number {
  if (packed.modality === 'face') return FACES_PER_TASK;
  const share = filter === undefined ? 1 : scopeShare;
  return Math.min(
    FACES_PER_TASK,
    Math.ceil(COMPARISONS_PER_TASK / Math.max(share, COMPARISONS_PER_TASK / FACES_PER_TASK)),
  );
}
