/**
 * HNSW graphs (Malkov, Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
 * small world graphs", TPAMI 2020) by hnswlib: one for each position. Built once on a separate thread and kept in the
 * temporary folder.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import hnswlib, { type HierarchicalNSW } from 'hnswlib-node';
import { Piscina } from 'piscina';
import type { BuildTask } from './build-worker.ts';
import type { GraphShape } from './graph-shape.ts';
import { project, type Projection } from './projection.ts';
import type { Sample, VectorSet } from './vector-set.ts';

/** The graph of one position. Labels are rows. */
export interface PositionGraph {
  readonly index: HierarchicalNSW;
  readonly projection: Projection;
}

export interface GraphCost {
  /** Thread time for adding all vectors of a subject. */
  readonly buildMilliseconds: number;
  /** Bytes of the files for a subject: the memory of hnswlib without labels, locks and marks. */
  readonly fileBytes: number;
  /** Growth of the process for a subject when the files were read. */
  readonly residentBytes: number;
}

/** Interval of the progress bar. */
const DRAWN_EVERY_MS = 500;

/** The graphs of all positions. They are always read from their files, also when just built, to measure their memory. */
export async function vectorGraphs(
  { positions, subjects }: VectorSet,
  projections: readonly Projection[],
  shape: GraphShape,
): Promise<{ readonly graphs: readonly PositionGraph[]; readonly cost: GraphCost }> {
  const graphs: PositionGraph[] = [];
  let [microseconds, fileBytes, residentBytes] = [0, 0, 0];
  for (const [p, references] of positions.entries()) {
    const projection = projections[p];
    const file = fileOf(references, projection, shape);
    if (!existsSync(file)) await build(file, references, projection, shape);
    const before = process.memoryUsage.rss();
    const index = new hnswlib.HierarchicalNSW(shape.space, projection.size);
    index.readIndexSync(file);
    residentBytes += process.memoryUsage.rss() - before;
    fileBytes += statSync(file).size;
    microseconds += Number(readFileSync(timeFile(file), 'utf8'));
    graphs.push({ index, projection });
  }
  return {
    graphs,
    cost: {
      buildMilliseconds: microseconds / 1000 / subjects,
      fileBytes: fileBytes / subjects,
      residentBytes: residentBytes / subjects,
    },
  };
}

/** The probe as the graphs have it. */
export function projected(graphs: readonly PositionGraph[], probe: Sample): number[][] {
  return graphs.map(({ projection }, p) => project(projection, probe[p]));
}

/**
 * @param vectors - the projected probe
 * @returns rows of the nearest vectors of each position, `ef` each: the union, ascending
 */
export function searchGraphs(graphs: readonly PositionGraph[], vectors: readonly number[][], ef: number): Uint32Array {
  const listed = new Set<number>();
  graphs.forEach(({ index }, p) => {
    index.setEf(ef);
    const wanted = Math.min(ef, index.getCurrentCount());
    for (const row of index.searchKnn(vectors[p], wanted).neighbors) listed.add(row);
  });
  return Uint32Array.from(listed).sort();
}

function fileOf(references: Int8Array, { size, directions, mean }: Projection, shape: GraphShape): string {
  const digest = createHash('sha256').update(references).update(mean);
  if (directions !== undefined) digest.update(directions);
  digest.update(JSON.stringify({ size, ...shape, order: 'spread' }));
  return join(tmpdir(), `ridgewatch-graph-${digest.digest('hex').slice(0, 16)}.hnsw`);
}

function timeFile(file: string): string {
  return `${file}.microseconds`;
}

async function build(file: string, references: Int8Array, projection: Projection, shape: GraphShape): Promise<void> {
  const pool = new Piscina<BuildTask, number>({
    filename: new URL('./build-worker.ts', import.meta.url).href,
    maxThreads: 1,
  });
  const done = new Int32Array(new SharedArrayBuffer(4));
  const bar = new SingleBar({ format: 'graph {bar} {value}/{total} {duration_formatted}' }, Presets.shades_classic);
  bar.start(references.length / projection.dimension, 0);
  const drawing = setInterval(() => bar.update(Atomics.load(done, 0)), DRAWN_EVERY_MS);
  try {
    const part = `${file}.part`;
    const microseconds = await pool.run({ file: part, references, projection, shape, done });
    writeFileSync(timeFile(file), String(microseconds));
    renameSync(part, file);
  } finally {
    clearInterval(drawing);
    bar.stop();
    await pool.close();
  }
}
