/** The thread that owns the graph of one partition. */
import { learnPrincipalDirections } from '../kernels/principal-directions.ts';
import type { AddTask, GraphResult, GraphTask, RemoveTask } from './graph-messages.ts';
import type { VectorGraph } from './vector-graph.ts';

/** Changes of one task: a search waits for no more than these and one change, which takes up to ten milliseconds. */
const MAX_CHANGES_MS = 5;

const NOTHING = { done: 0, labels: new Uint32Array() };

let graph: VectorGraph | undefined;

/** The entry point that the pool calls. */
export default async function run(task: GraphTask): Promise<GraphResult> {
  const before = process.threadCpuUsage();
  const result = await carryOut(task);
  return { ...result, places: graph?.places ?? 0, busyMs: busySince(before) };
}

async function carryOut(task: GraphTask): Promise<Pick<GraphResult, 'done' | 'labels' | 'directions'>> {
  switch (task.kind) {
    case 'learn':
      return { ...NOTHING, directions: learnPrincipalDirections(task.rows, task.dimension, task.size) };
    case 'begin':
      graph = new (await vectorGraph())(task.directions);
      return NOTHING;
    case 'load':
      graph = (await vectorGraph()).load(task.path, task.directions);
      return NOTHING;
    case 'save':
      present().save(task.path);
      return NOTHING;
    case 'add':
      return { ...NOTHING, done: add(present(), task) };
    case 'remove':
      return { ...NOTHING, done: remove(present(), task) };
    case 'search':
      return { ...NOTHING, labels: present().search(task.vector, task.ef) };
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

function add(to: VectorGraph, { vectors, labels }: AddTask): number {
  const { dimension } = to.directions;
  return untilLate(labels, (label, i) => to.add(vectors.subarray(i * dimension, (i + 1) * dimension), label));
}

function remove(from: VectorGraph, { labels }: RemoveTask): number {
  return untilLate(labels, (label) => from.remove(label));
}

/** @returns the number of changes made */
function untilLate(labels: Uint32Array, change: (label: number, i: number) => void): number {
  const before = process.threadCpuUsage();
  let done = 0;
  do {
    change(labels[done], done);
    done++;
  } while (done < labels.length && busySince(before) < MAX_CHANGES_MS);
  return done;
}

/** @returns milliseconds of this thread, without the time that it waited for a core */
function busySince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}
