/**
 * HNSW against the exact scan for faces: recall of the mates that the exact scan ranks first, and the speed-up. Both
 * run on one thread of one process, interleaved. The service has no graph.
 *
 *   npm run bench -- graph [--subjects 100000] [--mates 2000] [--data DIR] [--dimensions 192] [--links 16]
 *     [--ef-construction 100] [--ef 50,100,200,400,800] [--space ip] [--json]
 *
 * --links is hnswlib's M, --ef-construction and --ef are its ef_construction and ef. The exact scan is the first stage
 * of the service, kernels over segments, and the choice of the greatest score. Projecting the probe is not timed.
 */
import { availableParallelism } from 'node:os';
import Table from 'cli-table3';
import { InvalidArgumentError, Option, program } from 'commander';
import { atLeast } from '../../index-builder/whole-number.ts';
import { preferredBuild, type KernelBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { ExactScan } from './exact-scan.ts';
import { faceGraph, type FaceGraph } from './face-graph.ts';
import { realFaces, syntheticFaces, type FaceSet } from './face-set.ts';
import type { GraphShape } from './graph-shape.ts';
import { principalDirections, wholeFaces, type Projection } from './projection.ts';
import {
  compareWithScan,
  LIST_LENGTH,
  seekDeleted,
  type DeletionFigures,
  type SearchFigures,
  type ShareOfMates,
} from './searches.ts';
import { SEEDS } from '../harness/seeds.ts';

interface GraphOptions extends GraphShape {
  readonly subjects: number;
  readonly mates: number;
  readonly data?: string;
  readonly dimensions?: number;
  readonly ef: readonly number[];
  readonly json: boolean;
}

interface Report {
  readonly faces: string;
  readonly subjects: number;
  readonly dimension: number;
  readonly kernels: KernelBuild;
  readonly graph: GraphShape & ReturnType<typeof costOf> & { readonly dimensions: number };
  readonly figures: SearchFigures;
  readonly deletion: DeletionFigures;
}

/** Mates that are deleted at the end. */
const DELETED = 100;

program
  .name('npm run bench -- graph')
  .description('HNSW against the exact scan for faces: recall and speed-up')
  .option('--subjects <n>', 'enrolled faces', atLeast(LIST_LENGTH + DELETED), 100_000)
  .option('--mates <n>', 'mated probes', atLeast(1), 2000)
  .option('--data <folder>', 'real mates from embeddings.f32 and embeddings.tsv, among synthetic strangers')
  .option('--dimensions <n>', 'principal components in the graph; when not given the whole embedding', atLeast(1))
  .option('--links <n>', 'M of hnswlib: links of an element in each layer', atLeast(2), 16)
  .option('--ef-construction <n>', 'ef_construction of hnswlib', atLeast(1), 100)
  .option('--ef <list>', 'ef of hnswlib', wholeNumbers, [50, 100, 200, 400, 800])
  .addOption(new Option('--space <name>', 'inner product or squared distance').choices(['ip', 'l2']).default('ip'))
  .option('--json', 'print one JSON object', false)
  .showHelpAfterError();

try {
  await measure(program.parse().opts<GraphOptions>());
} catch (error) {
  console.error(`graph: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function measure(options: GraphOptions): Promise<void> {
  const { subjects, mates, data, space, links, efConstruction } = options;
  if (mates > subjects) throw new Error('--mates must be --subjects at most.');
  const faces =
    data === undefined
      ? await syntheticFaces(subjects, mates, availableParallelism())
      : realFaces(data, subjects, mates);
  const projection = projectionOf(faces, options.dimensions);
  const graph = await faceGraph(faces, projection, { space, links, efConstruction, seed: SEEDS.layers });
  const figures = compareWithScan(faces, new ExactScan(faces), graph.index, projection, options.ef);
  const deletion = seekDeleted(faces, graph.index, projection, Math.max(...options.ef), DELETED);
  const report: Report = {
    faces: faces.description,
    subjects,
    dimension: faces.dimension,
    kernels: preferredBuild(),
    graph: {
      dimensions: projection.size,
      space,
      links,
      efConstruction,
      seed: SEEDS.layers,
      ...costOf(graph, subjects),
    },
    figures,
    deletion,
  };
  if (options.json) console.log(JSON.stringify(report));
  else print(report);
}

function projectionOf(faces: FaceSet, dimensions: number | undefined): Projection {
  if (dimensions === undefined) return wholeFaces(faces.dimension);
  if (dimensions > faces.dimension) throw new Error(`--dimensions must be ${faces.dimension} at most.`);
  return principalDirections(faces, dimensions);
}

/** Cost per face. */
function costOf({ buildMicroseconds, fileBytes, residentBytes }: FaceGraph, subjects: number) {
  return {
    buildMilliseconds: buildMicroseconds / 1000 / subjects,
    fileBytes: fileBytes / subjects,
    residentBytes: residentBytes / subjects,
  };
}

function print(report: Report): void {
  const { graph, dimension, deletion } = report;
  const { searches, firstByScan, scanMilliseconds } = report.figures;
  const nanoseconds = (1e6 * scanMilliseconds) / report.subjects;
  console.log(`${report.faces}.`);
  console.log(
    `Exact scan (${report.kernels} kernels, ${dimension} bytes per face): ${scanMilliseconds.toFixed(2)} ms per search, ` +
      `${nanoseconds.toFixed(1)} ns per face; ${firstByScan} of ${searches} mates at rank 1.`,
  );
  console.log(
    `HNSW: ${graph.dimensions} components, space ${graph.space}, M ${graph.links}, ef_construction ${graph.efConstruction}; ` +
      `${graph.buildMilliseconds.toFixed(2)} ms of build per face; per face ${Math.round(graph.fileBytes)} bytes of file, ` +
      `${Math.round(graph.residentBytes)} of memory.`,
  );
  console.log(
    'Share of the mates at rank 1 of the exact scan, with 95 % limits (Clopper-Pearson). Median times of one thread.',
  );
  const table = new Table({
    head: ['ef', 'rank 1', `in top ${LIST_LENGTH}`, 'ms per search', 'speed-up'],
    colAligns: ['right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { ef, first, listed, milliseconds, timesFaster } of report.figures.graph) {
    table.push([ef, percent(first), percent(listed), milliseconds.toFixed(2), timesFaster.toFixed(1)]);
  }
  console.log(table.toString());
  console.log(
    `${deletion.deleted} mates at rank 1 were marked as deleted: ${deletion.returned} returned afterwards, ` +
      `${deletion.shortLists} results of fewer than ${LIST_LENGTH}. Their memory is kept until the graph is built again.`,
  );
}

function percent({ share, limits: [low, high] }: ShareOfMates): string {
  return `${(100 * share).toFixed(2)} % (${(100 * low).toFixed(2)} to ${(100 * high).toFixed(2)})`;
}

function wholeNumbers(list: string): number[] {
  const numbers = list.split(',').map(Number);
  if (!numbers.every((value) => Number.isInteger(value) && value > 0))
    throw new InvalidArgumentError('expected whole numbers from 1 on, separated by commas');
  return numbers;
}
