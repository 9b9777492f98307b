import { queueOptionsSymbol, type TaskQueue } from 'piscina';
import type { TaskKind, WorkerTask } from './messages.ts';

type Task = Parameters<TaskQueue['push']>[0];

/** `short`: a few milliseconds with a caller waiting; `search`: one of the many tasks of a search. */
type Lane = 'short' | 'search';

const OF_SEARCHES: ReadonlySet<TaskKind> = new Set<TaskKind>([
  'scan',
  'scan-codes',
  'scan-faces',
  'choose',
  'place',
  'shortlist',
]);

/** What the queue must know about a task. */
interface QueueOptions {
  readonly lane: Lane;
  /** Called when the task begins to wait in the queue, and when a thread takes it. */
  readonly onWaiting: ((isWaiting: boolean) => void) | undefined;
}

/** A task's options, as the queue reads them. @param onWaiting - see QueueOptions */
export function inLaneOf(
  task: WorkerTask,
  onWaiting?: (isWaiting: boolean) => void,
): { readonly [queueOptionsSymbol]: QueueOptions } {
  const ofSearch = OF_SEARCHES.has(task.kind) || (task.kind === 'compare' && task.stop);
  return { [queueOptionsSymbol]: { lane: ofSearch ? 'search' : 'short', onWaiting } };
}

/**
 * Tasks waiting for a thread, first come first served in each lane. The lanes take turns: many searches do not hold up
 * an enrolment, and a bulk enrolment does not hold up the searches.
 */
export class FairTaskQueue implements TaskQueue {
  readonly #lanes: Readonly<Record<Lane, Task[]>> = { short: [], search: [] };
  #next: Lane = 'short';

  get size(): number {
    return this.#lanes.short.length + this.#lanes.search.length;
  }

  push(task: Task): void {
    this.#lanes[laneOf(task)].push(task);
    optionsOf(task)?.onWaiting?.(true);
  }

  shift(): Task | null {
    const other = this.#next === 'short' ? 'search' : 'short';
    const lane = this.#lanes[this.#next].length > 0 ? this.#next : other;
    this.#next = lane === 'short' ? 'search' : 'short';
    const task = this.#lanes[lane].shift() ?? null;
    if (task !== null) optionsOf(task)?.onWaiting?.(false);
    return task;
  }

  /** Requeues a task at the head of its lane when no thread was free; the lane keeps its turn. */
  unshift(task: Task): void {
    const lane = laneOf(task);
    this.#lanes[lane].unshift(task);
    this.#next = lane;
    optionsOf(task)?.onWaiting?.(true);
  }

  remove(task: Task): void {
    const lane = this.#lanes[laneOf(task)];
    const at = lane.indexOf(task);
    if (at < 0) return;
    lane.splice(at, 1);
    optionsOf(task)?.onWaiting?.(false);
  }
}

function optionsOf(task: Task): QueueOptions | null {
  return task[queueOptionsSymbol] as QueueOptions | null;
}

function laneOf(task: Task): Lane {
  return optionsOf(task)?.lane ?? 'search';
}
