import type { Segment } from '../gallery/segment.ts';
import type { CompareResult, PackedProbe } from './messages.ts';
import { isStopped } from './search-tasks.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Fingers per task: a few milliseconds of work, so that a long list is shared among the threads, and searches are too. */
export const COMPARISONS_PER_TASK = 512;

/**
 * Comparisons of a probe with single references of a segment, as pieces of work that are left out once it is stopped.
 * @param take - gets the result of a piece, and the position in `indices` that it begins at
 */
export function comparisons(
  pool: WorkerPool,
  probe: PackedProbe,
  segment: Segment,
  indices: Uint32Array,
  control: SharedArrayBuffer,
  take: (result: CompareResult, first: number) => void,
): (() => Promise<void>)[] {
  return Array.from({ length: Math.ceil(indices.length / COMPARISONS_PER_TASK) }, (_, task) => {
    const first = task * COMPARISONS_PER_TASK;
    const piece = indices.slice(first, first + COMPARISONS_PER_TASK);
    return async () => {
      if (isStopped(control)) return;
      take(await pool.compare({ kind: 'compare', probe, segment: segment.handle, indices: piece, control }), first);
    };
  });
}
