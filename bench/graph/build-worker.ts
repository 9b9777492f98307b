import hnswlib from 'hnswlib-node';
import type { GraphShape } from './face-graph.ts';
import { project, type Projection } from './projection.ts';

export interface BuildTask {
  /** Where the graph is written to. */
  readonly file: string;
  /** One row for each face, its number in the graph. */
  readonly references: Int8Array;
  readonly projection: Projection;
  readonly shape: GraphShape;
  /** How many faces are in the graph, for whoever waits. */
  readonly done: Int32Array;
}

/** @returns microseconds of this thread's time that adding the faces took */
export default function buildGraph({ file, references, projection, shape, done }: BuildTask): number {
  const { dimension, size } = projection;
  const rows = references.length / dimension;
  const index = new hnswlib.HierarchicalNSW(shape.space, size);
  index.initIndex(rows, shape.links, shape.efConstruction, shape.seed);
  let microseconds = 0;
  for (let row = 0; row < rows; row++) {
    const vector = project(projection, references.subarray(row * dimension, (row + 1) * dimension));
    const before = process.threadCpuUsage();
    index.addPoint(vector, row);
    const { user, system } = process.threadCpuUsage(before);
    microseconds += user + system;
    Atomics.store(done, 0, row + 1);
  }
  index.writeIndexSync(file);
  return microseconds;
}
