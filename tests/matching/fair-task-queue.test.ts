import fc from 'fast-check';
import { queueOptionsSymbol, type TaskQueue } from 'piscina';
import { describe, expect, it } from 'vitest';
import type { WorkerTask } from '../../src/matching/workers/messages.ts';
import { StopSignal } from '../../src/matching/workers/stop-signal.ts';
import { inLaneOf, FairTaskQueue } from '../../src/matching/workers/fair-task-queue.ts';

type Task = Parameters<TaskQueue['push']>[0];
const stop = new StopSignal().all;
const probe = { modality: 'finger', packed: new Uint8Array(0) } as const;
const search: WorkerTask = { kind: 'compare', probe, pieces: [], stop };
const verification: WorkerTask = { kind: 'compare', probe, pieces: [] };
const encoding: WorkerTask = { kind: 'encode', templates: [] };

/** A task in the form in which the pool queues it. */
function waiting(task: WorkerTask): Task {
  return { [queueOptionsSymbol]: inLaneOf(task)[queueOptionsSymbol] };
}

function drain(lanes: FairTaskQueue): Task[] {
  const drained: Task[] = [];
  for (let task = lanes.shift(); task !== null; task = lanes.shift()) drained.push(task);
  return drained;
}

describe('the lanes of tasks', () => {
  it('take turns, each first come first served', () => {
    const lanes = new FairTaskQueue();
    const [a, b, c] = [search, search, search].map(waiting);
    const [x, y] = [encoding, verification].map(waiting);
    for (const task of [a, b, c, x, y]) lanes.push(task);
    expect(drain(lanes)).toEqual([x, a, y, b, c]);
    expect(lanes.size).toBe(0);
  });

  it('keep the turn of a requeued task', () => {
    const lanes = new FairTaskQueue();
    const [a, b] = [search, search].map(waiting);
    const [x, y] = [encoding, verification].map(waiting);
    for (const task of [a, b, x, y]) lanes.push(task);
    for (let i = 0; i < 3; i++) {
      const first = lanes.shift();
      expect(first).toBe(x);
      lanes.unshift(first as Task);
    }
    expect(drain(lanes)).toEqual([x, a, y, b]);
  });

  it('tell a task when it begins to wait and when it is taken, requeued or removed', () => {
    const lanes = new FairTaskQueue();
    const told: boolean[] = [];
    const task: Task = {
      [queueOptionsSymbol]: inLaneOf(search, (isWaiting) => told.push(isWaiting))[queueOptionsSymbol],
    };
    const other = waiting(encoding);
    lanes.push(task);
    expect(told).toEqual([true]);
    lanes.push(other);
    lanes.remove(other);
    expect(lanes.shift()).toBe(task);
    expect(told).toEqual([true, false]);
    lanes.unshift(task);
    lanes.remove(task);
    expect(told).toEqual([true, false, true, false]);
    lanes.remove(task);
    expect(lanes.shift()).toBe(null);
    expect(told).toHaveLength(4);
  });

  it('lose no task and keep the order of each lane, whatever is pushed, shifted and removed', () => {
    const step = fc.constantFrom('search', 'short', 'shift', 'remove');
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const lanes = new FairTaskQueue();
        const model = { search: [] as Task[], short: [] as Task[] };
        const all = () => [...model.search, ...model.short];
        for (const one of steps) {
          if (one === 'search' || one === 'short') {
            const task = waiting(one === 'search' ? search : encoding);
            lanes.push(task);
            model[one].push(task);
          } else if (one === 'remove') {
            const task = all().at(steps.length % Math.max(1, all().length));
            if (task === undefined) continue;
            lanes.remove(task);
            for (const lane of [model.search, model.short]) if (lane.includes(task)) lane.splice(lane.indexOf(task), 1);
          } else {
            const task = lanes.shift();
            const lane = [model.search, model.short].find(([first]) => first !== undefined && first === task);
            expect(task === null).toBe(all().length === 0);
            if (task !== null) expect(lane?.shift()).toBe(task);
          }
          expect(lanes.size).toBe(all().length);
        }
      }),
    );
  });
});
