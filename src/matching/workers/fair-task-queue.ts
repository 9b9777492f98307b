import { queueOptionsSymbol, type TaskQueue } from 'piscina';
import type { TaskKind, WorkerTask } from './messages.ts';

type Task = Parameters<TaskQueue['push']>[0];

/** `short`: a few milliseconds with a caller waiting; `search`: one of the many tasks of a search. */
type Lane = 'short' | 'search';

const OF_SEARCHES: ReadonlySet<TaskKind> = new Set<TaskKind>(['scan', 'scan-codes', 'choose', 'place', 'shortlist']);

/** The lane of a task, as the queue reads it. */
export function inLaneOf(task: WorkerTask): { readonly [queueOptionsSymbol]: { readonly lane: Lane } } {
  const ofSearch = OF_SEARCHES.has(task.kind) || (task.kind === 'compare' && task.stop);
  return { [queueOptionsSymbol]: { lane: ofSearch ? 'search' : 'short' } };
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
  }

  shift(): Task | null {
    const other = this.#next === 'short' ? 'search' : 'short';
    const lane = this.#lanes[this.#next].length > 0 ? this.#next : other;
    this.#next = lane === 'short' ? 'search' : 'short';
    return this.#lanes[lane].shift() ?? null;
  }

  /** Requeues a task at the head of its lane when no thread was free; the lane keeps its turn. */
  unshift(task: Task): void {
    const lane = laneOf(task);
    this.#lanes[lane].unshift(task);
    this.#next = lane;
  }

  remove(task: Task): void {
    const lane = this.#lanes[laneOf(task)];
    const at = lane.indexOf(task);
    if (at >= 0) lane.splice(at, 1);
  }
}

function laneOf(task: Task): Lane {
  return (task[queueOptionsSymbol] as { readonly lane: Lane } | null)?.lane ?? 'search';
}
