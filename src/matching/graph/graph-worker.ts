/** The thread that owns the graph of one partition. */
import { workerData } from 'piscina';
import { learnPrincipalDirections } from '../kernels/principal-directions.ts';
import { throughGate } from './call-gate.ts';
import type { AddTask, GraphResult, GraphTask, RemoveTask } from './graph-messages.ts';
import type { VectorGraph } from './vector-graph.ts';

/** Changes of one task: a search waits for no more than these and one change, which takes up to ten milliseconds. */
const MAX_CHANGES_MS = 5;

const NOTHING = { done: 0, labels: new Uint32Array() };

const gate = workerData as Int32Array;
let graph: VectorGraph | undefined;

/** The entry point that the pool calls. */
export default async function run(task: GraphTask): Promise<GraphResult> {
  const started = performance.now();
  const result = await carryOut(task);
  return { ...result, places: graph?.places ?? 0, busyMs: performance.now() - started };
}

async function carryOut(task: GraphTask): Promise<Pick<GraphResult, 'done' | 'labels' | 'directions'>> {
  switch (task.kind) {
    case 'learn':
      return { ...NOTHING, directions: learnPrincipalDirections(task.rows, task.dimension, task.size) };
    case 'begin':
      graph = await throughGate(gate, async () => new (await vectorGraph())(task.directions));
      return NOTHING;
    case 'load':
      graph = await throughGate(gate, async () => new (await vectorGraph())(task.directions, task.path));
      return NOTHING;
    case 'save':
      await throughGate(gate, () => present().save(task.path));
      return NOTHING;
    case 'add':
      return { ...NOTHING, done: await add(present(), task) };
    case 'remove':
      return { ...NOTHING, done: await remove(present(), task) };
    case 'search':
      return { ...NOTHING, labels: await throughGate(gate, () => present().search(task.vector, task.ef)) };
  }
}

/** hnswlib is loaded by the first task that needs it: see GraphThread.stop. */
async function vectorGraph(): Promise<typeof VectorGraph> {
  return (await import('./vector-graph.ts')).VectorGraph;
}

/** A thread that took the place of one that ended has no graph. */
function present(): VectorGraph {
  if (graph === undefined) throw new Error('the thread that held the graph has ended');
  return graph;
}

function add(to: VectorGraph, { vectors, labels }: AddTask): Promise<number> {
  const { dimension } = to.directions;
  return untilLate(labels, (label, i) => to.add(vectors.subarray(i * dimension, (i + 1) * dimension), label));
}

function remove(from: VectorGraph, { labels }: RemoveTask): Promise<number> {
  return untilLate(labels, (label) => from.remove(label));
}

/** @returns the number of changes made */
async function untilLate(labels: Uint32Array, change: (label: number, i: number) => void): Promise<number> {
  const started = performance.now();
  let done = 0;
  while (done < labels.length && (done === 0 || performance.now() - started < MAX_CHANGES_MS)) {
    await throughGate(gate, () => change(labels[done], done));
    done++;
  }
  return done;
}
