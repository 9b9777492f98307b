import { REMOVED_SIMILARITY } from '../kernels/kernels.ts';
import type { ScanResult } from '../workers/messages.ts';
import { namesOf } from '../workers/scan-batches.ts';
import { isStopped, type StopMark } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';
import type { ScanPart } from './scan-parts.ts';
import type { SearchView } from './search-view.ts';
import type { SharedJob } from './shared-order.ts';

/**
 * Faces per task. A task should take at least a millisecond, or the messages cost more than the work, and at most a few,
 * so that searches share the threads fairly.
 */
export const FACES_PER_TASK = 65_536;
const NOTHING: ScanResult = { read: 0, passed: 0, searched: 0, busyMs: 0 };

/**
 * Comparisons of a probe with all references of a part, as tasks that are skipped once the search is stopped.
 * @param step - references per task
 * @param offset - position of the part's first similarity in `similarities`
 */
export function scanTasks(
  pool: WorkerPool,
  { packed, segment, end }: ScanPart,
  step: number,
  similarities: SharedArrayBuffer,
  offset: number,
  { filter }: SearchView,
  stop: StopMark,
): SharedJob<ScanResult>[] {
  const { handle } = segment;
  const isShared = packed.modality === 'face' && filter === undefined;
  return rangesOf(end, step).map(([from, to]) => {
    const name = isShared ? namesOf('faces', [{ segment: handle.id, from }]) : undefined;
    const run = async () => {
      if (isStopped(stop)) {
        new Int16Array(similarities, (offset + from) * 2, to - from).fill(REMOVED_SIMILARITY);
        return NOTHING;
      }
      const range = { segment: handle.id, from, to, similarities, offset, filter, stop };
      return pool.scan({ kind: 'scan', probe: packed, ...range }, handle);
    };
    return { name, run };
  });
}

/** Ranges of `step` references, the last one shorter. */
export function rangesOf(end: number, step: number): [number, number][] {
  return Array.from({ length: Math.ceil(end / step) }, (_, i) => [i * step, Math.min(end, (i + 1) * step)]);
}
