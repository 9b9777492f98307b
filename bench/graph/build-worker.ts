import hnswlib from 'hnswlib-node';
import type { GraphShape } from './graph-shape.ts';
import { project, type Projection } from './projection.ts';

export interface BuildTask {
  /** File of the graph. */
  readonly file: string;
  /** One row for each subject, its number in the graph. */
  readonly references: Int8Array;
  readonly projection: Projection;
  readonly shape: GraphShape;
  /** Number of vectors in the graph so far, for the progress bar. */
  readonly done: Int32Array;
}

/** Spreads the mates over the insertion order: vectors inserted first have a higher recall than others. */
const ORDER_STEP = 0.618;

/** @returns this thread's time for adding the vectors, projection left out, in microseconds */
export default function buildGraph({ file, references, projection, shape, done }: BuildTask): number {
  const { dimension, size } = projection;
  const rows = references.length / dimension;
  const index = new hnswlib.HierarchicalNSW(shape.space, size);
  index.initIndex(rows, shape.links, shape.efConstruction, shape.seed);
  let microseconds = 0;
  const step = coprimeStep(rows);
  for (let added = 0; added < rows; added++) {
    const row = (added * step) % rows;
    const vector = project(projection, references.subarray(row * dimension, (row + 1) * dimension));
    const before = process.threadCpuUsage();
    index.addPoint(vector, row);
    const { user, system } = process.threadCpuUsage(before);
    microseconds += user + system;
    Atomics.store(done, 0, added + 1);
  }
  index.writeIndexSync(file);
  return microseconds;
}

/** A step that visits every row once before it returns to the first. */
function coprimeStep(rows: number): number {
  let step = Math.max(1, Math.round(rows * ORDER_STEP));
  while (greatestCommonDivisor(step, rows) !== 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
