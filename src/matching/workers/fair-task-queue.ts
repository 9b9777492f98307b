import { queueOptionsSymbol, type TaskQueue } from 'piscina';
import type { WorkerTask } from './messages.ts';

type Task = Parameters<TaskQueue['push']>[0];

/** `short`: a few milliseconds that somebody waits for; `search`: a piece of a search, which has many. */
type Lane = 'short' | 'search';

/** What a task says of its lane, for the queue. */
export function inLaneOf(task: WorkerTask): { readonly [queueOptionsSymbol]: { readonly lane: Lane } } {
  const ofSearch = task.kind === 'scan' || task.kind === 'shortlist' || (task.kind === 'compare' && task.stop);
  return { [queueOptionsSymbol]: { lane: ofSearch ? 'search' : 'short' } };
}

/**
 * Tasks that wait for a thread, first come first served in each lane. The lanes take turns, so that neither a crowd of
 * searches holds up an enrolment nor a bulk of enrolments the searches.
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

  /** Puts back a task that no thread was free for: its turn was none. */
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
