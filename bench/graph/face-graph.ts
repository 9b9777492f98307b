/**
 * HNSW graphs (Malkov, Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
 * small world graphs", TPAMI 2020) by hnswlib. Built once on a separate thread and kept in the temporary folder.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import hnswlib, { type HierarchicalNSW } from 'hnswlib-node';
import { Piscina } from 'piscina';
import type { BuildTask } from './build-worker.ts';
import type { FaceSet } from './face-set.ts';
import type { GraphShape } from './graph-shape.ts';
import type { Projection } from './projection.ts';

export interface FaceGraph {
  /** Labels are rows. */
  readonly index: HierarchicalNSW;
  readonly buildMicroseconds: number;
  /** Size of the file: the memory of hnswlib without labels, locks and marks. */
  readonly fileBytes: number;
  /** Growth of the process when the file was read. */
  readonly residentBytes: number;
}

/** Interval of the progress bar. */
const DRAWN_EVERY_MS = 500;

/** The graph of all rows. It is always read from its file, also when just built, to measure its memory. */
export async function faceGraph(faces: FaceSet, projection: Projection, shape: GraphShape): Promise<FaceGraph> {
  const { size } = projection;
  const digest = createHash('sha256')
    .update(faces.references)
    .update(JSON.stringify({ size, ...shape, order: 'spread' }));
  const file = join(tmpdir(), `ridgewatch-graph-${digest.digest('hex').slice(0, 16)}.hnsw`);
  if (!existsSync(file)) await build(file, faces, projection, shape);
  const before = process.memoryUsage.rss();
  const index = new hnswlib.HierarchicalNSW(shape.space, size);
  index.readIndexSync(file);
  return {
    index,
    buildMicroseconds: Number(readFileSync(timeFile(file), 'utf8')),
    fileBytes: statSync(file).size,
    residentBytes: process.memoryUsage.rss() - before,
  };
}

function timeFile(file: string): string {
  return `${file}.microseconds`;
}

async function build(file: string, faces: FaceSet, projection: Projection, shape: GraphShape): Promise<void> {
  const pool = new Piscina<BuildTask, number>({
    filename: new URL('./build-worker.ts', import.meta.url).href,
    maxThreads: 1,
  });
  const done = new Int32Array(new SharedArrayBuffer(4));
  const bar = new SingleBar({ format: 'graph {bar} {value}/{total} {duration_formatted}' }, Presets.shades_classic);
  bar.start(faces.references.length / faces.dimension, 0);
  const drawing = setInterval(() => bar.update(Atomics.load(done, 0)), DRAWN_EVERY_MS);
  try {
    const part = `${file}.part`;
    const microseconds = await pool.run({ file: part, references: faces.references, projection, shape, done });
    writeFileSync(timeFile(file), String(microseconds));
    renameSync(part, file);
  } finally {
    clearInterval(drawing);
    bar.stop();
    await pool.close();
  }
}
