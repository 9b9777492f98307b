import type { Segment } from '../../gallery/segment.ts';
import type { CompareResult } from '../workers/messages.ts';
import type { PackedProbe } from '../kernels/packed-probe.ts';
import { isStopped, type StopMark } from '../workers/stop-signal.ts';
import type { WorkerPool } from '../workers/worker-pool.ts';

/** Fingers per task: a few milliseconds of work. Threads can then share a long list, and searches the threads. */
export const COMPARISONS_PER_TASK = 512;

/** References of a segment to be compared. */
export interface Piece {
  readonly segment: Segment;
  readonly indices: Uint32Array;
}

/**
 * Comparisons of a probe with single references, as tasks that are skipped once the search is stopped.
 * @param minSupport - see CompareTask
 * @param take - gets the result of a task, and the position of its first reference among all of them
 */
export function comparisons(
  pool: WorkerPool,
  probe: PackedProbe,
  pieces: readonly Piece[],
  stop: StopMark,
  minSupport: number | undefined,
  take: (result: CompareResult, first: number) => void,
): (() => Promise<void>)[] {
  let first = 0;
  return intoTasks(pieces).map((ofTask) => {
    const start = first;
    first += countOf(ofTask);
    return async () => {
      if (!isStopped(stop)) take(await comparePieces(pool, probe, ofTask, stop, minSupport), start);
    };
  });
}

/** Compares a probe with references of any segments, in one task. */
export function comparePieces(
  pool: WorkerPool,
  probe: PackedProbe,
  pieces: readonly Piece[],
  stop?: StopMark,
  minSupport?: number,
): Promise<CompareResult> {
  const named = pieces.map(({ segment, indices }) => ({ segment: segment.handle.id, indices }));
  const handles = pieces.map(({ segment }) => segment.handle);
  return pool.compare({ kind: 'compare', probe, pieces: named, minSupport, ...(stop && { stop }) }, handles);
}

/** Tasks of equal size: one task may span several segments, and one segment several tasks. */
function intoTasks(pieces: readonly Piece[]): Piece[][] {
  const tasks: Piece[][] = [];
  let room = 0;
  for (const { segment, indices } of pieces) {
    for (let from = 0; from < indices.length;) {
      if (room === 0) {
        tasks.push([]);
        room = COMPARISONS_PER_TASK;
      }
      const taken = indices.slice(from, from + room);
      tasks.at(-1)?.push({ segment, indices: taken });
      from += taken.length;
      room -= taken.length;
    }
  }
  return tasks;
}

function countOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { indices }) => sum + indices.length, 0);
}
