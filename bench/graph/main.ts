/**
 * HNSW against the scans of the service, for faces and for the candidate vectors of fingers: recall, time, memory, growth
 * and the effect of expunging. The service has no graph.
 *
 *   npm run bench -- graph [--modality face|finger|two-fingers] [--subjects 100000] [--sizes 10000,30000] [--mates 2000]
 *     [--data DIR] [--dimensions 64] [--whole] [--links 32] [--ef-construction 200] [--ef 10,20,50,100,200,400,800,1600]
 *     [--chosen 0.1,0.3,1,3] [--space ip] [--rounds 3] [--json]
 *
 * --links is M of hnswlib, --ef-construction and --ef are its ef_construction and ef. --chosen: percent of the subjects
 * that the codes choose; the service chooses 1 %, and at least 3,333. --sizes: smaller galleries, for the growth.
 *
 * The methods, each on one thread of this process, by turns, on the same probes:
 *
 *   - The scan of whole vectors: every reference by the kernels, and the choice of the greatest similarity. Nothing is
 *     missed, so it defines the mates that the others should find.
 *   - The codes (fingers only: faces have none): the first stage of the service. Tables of the probe, the scan of all
 *     codes, the choice of a share of the subjects; these are ranked anew by their whole vectors.
 *   - The graph: vectors without their mean, in principal directions learned from the gallery, of length 1 (--whole: as
 *     they are, of length 1). The ef nearest vectors are ranked anew by their whole vectors. Two fingers have two graphs,
 *     and the union of both lists is ranked.
 *
 * A search is timed to the ranked list; the projection of the probe into the graph's space is not. The first 500 probes are
 * searched --rounds times, and the least time of each counts. Probes of fingers are ordinary, or bad (difficulty 2.2).
 */
import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option, program } from 'commander';
import { atLeast } from '../../index-builder/whole-number.ts';
import { preferredBuild } from '../../src/matching/kernels/kernel-builds.ts';
import { CODE_BYTES } from '../../src/matching/model/finger-vector-model.ts';
import { SEEDS } from '../harness/seeds.ts';
import { expungeSubjects, type DeletionFigures } from './deletion.ts';
import { FaceReferences } from './face-references.ts';
import { realFaces, syntheticFaces } from './face-set.ts';
import { FingerReferences } from './finger-references.ts';
import { fingerVectors } from './finger-set.ts';
import type { GraphShape } from './graph-shape.ts';
import { growthRows } from './growth-rows.ts';
import { codeMethod, graphMethod } from './methods.ts';
import { printReport } from './print.ts';
import { principalDirections, wholeVectors } from './projection.ts';
import type { GraphReport, SizeFigures } from './report.ts';
import { compareMethods } from './searches.ts';
import { vectorGraphs } from './vector-graph.ts';
import { firstSubjects, MODALITIES, type Modality, type VectorSet } from './vector-set.ts';

interface GraphOptions extends Omit<GraphShape, 'seed'> {
  readonly modality: Modality;
  readonly subjects: number;
  readonly sizes: readonly number[];
  readonly mates: number;
  readonly data?: string;
  readonly dimensions?: number;
  readonly whole: boolean;
  readonly ef: readonly number[];
  readonly chosen: readonly number[];
  readonly rounds: number;
  readonly json: boolean;
}

/** Share of the subjects that is expunged at the end. */
const EXPUNGED = 0.05;
/** Fingers have a flat spectrum: 64 directions would hold half of their variance. */
const DIMENSIONS: Readonly<Record<Modality, number>> = { face: 64, finger: 128, 'two-fingers': 128 };
/** Codes lie beside a byte that marks a removed reference. */
const CODE_AND_MARK = CODE_BYTES + 1;

program
  .name('npm run bench -- graph')
  .description('HNSW against the scans of the service: recall, time, memory, growth')
  .addOption(new Option('--modality <name>', 'vectors that are searched').choices(MODALITIES).default('face'))
  .option('--subjects <n>', 'enrolled subjects', atLeast(1000), 100_000)
  .option('--sizes <list>', 'smaller galleries, for the growth', wholeNumbers, [10_000, 30_000])
  .option('--mates <n>', 'mated probes', atLeast(1), 2000)
  .option('--data <folder>', 'real faces from embeddings.f32 and embeddings.tsv, among synthetic strangers')
  .option('--dimensions <n>', 'principal directions in the graph: 64 of faces, 128 of fingers', atLeast(1))
  .option('--whole', 'whole vectors in the graph, without removing the mean', false)
  .option('--links <n>', 'M of hnswlib: links of an element in each layer', atLeast(2), 32)
  .option('--ef-construction <n>', 'ef_construction of hnswlib', atLeast(1), 200)
  .option('--ef <list>', 'ef of hnswlib', wholeNumbers, [10, 20, 50, 100, 200, 400, 800, 1600])
  .option('--chosen <list>', 'percent of the subjects that the codes choose', percentages, [0.1, 0.3, 1, 3])
  .addOption(new Option('--space <name>', 'inner product or squared distance').choices(['ip', 'l2']).default('ip'))
  .option('--rounds <n>', 'searches of each probe by each method', atLeast(1), 3)
  .option('--json', 'print one JSON object', false)
  .showHelpAfterError();

try {
  await measure(program.parse().opts<GraphOptions>());
} catch (error) {
  console.error(`graph: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function measure(options: GraphOptions): Promise<void> {
  const { modality, subjects, space, links, efConstruction } = options;
  const set = await vectorsOf(options);
  const dimensions = dimensionsOf(set, options);
  const shape = { space, links, efConstruction, seed: SEEDS.layers };
  const smaller = options.sizes.filter((size) => size < subjects && size >= options.mates);
  const sizes: SizeFigures[] = [];
  let deletion: DeletionFigures | undefined;
  for (const size of [...smaller, subjects]) {
    const measured = await measureSize(firstSubjects(set, size), dimensions, shape, options, size === subjects);
    sizes.push(measured.figures);
    deletion = measured.deletion;
  }
  if (deletion === undefined) throw new Error('nothing was measured.');
  const hasCodes = modality !== 'face';
  const report: GraphReport = {
    modality,
    vectors: set.description,
    subjects,
    kernels: preferredBuild(),
    vectorBytes: set.positions.length * set.dimension,
    codeBytes: hasCodes ? set.positions.length * CODE_AND_MARK : 0,
    graph: { dimensions: dimensions ?? set.dimension, ...shape },
    sizes,
    growth: growthRows(sizes, hasCodes ? ['first', 'compared'] : ['first']),
    deletion,
  };
  if (options.json) console.log(JSON.stringify(report));
  else printReport(report);
}

async function vectorsOf({ modality, subjects, mates, data }: GraphOptions): Promise<VectorSet> {
  if (mates > subjects) throw new Error('--mates must be --subjects at most.');
  const threads = availableParallelism();
  if (modality !== 'face') {
    if (data !== undefined) throw new Error('--data is for faces.');
    return fingerVectors(modality === 'finger' ? 1 : 2, subjects, mates, threads);
  }
  return data === undefined ? syntheticFaces(subjects, mates, threads) : realFaces(data, subjects, mates);
}

/** @returns undefined: whole vectors */
function dimensionsOf({ dimension }: VectorSet, { whole, dimensions, modality }: GraphOptions): number | undefined {
  if (whole) return undefined;
  const size = dimensions ?? DIMENSIONS[modality];
  if (size > dimension) throw new Error(`--dimensions must be ${dimension} at most.`);
  return size;
}

async function measureSize(
  set: VectorSet,
  dimensions: number | undefined,
  shape: GraphShape,
  { modality, ef, chosen, rounds }: GraphOptions,
  withDeletion: boolean,
): Promise<{ readonly figures: SizeFigures; readonly deletion: DeletionFigures | undefined }> {
  const { subjects, kinds, dimension } = set;
  const projections = set.positions.map((references) =>
    dimensions === undefined ? wholeVectors(dimension) : principalDirections(references, dimension, dimensions),
  );
  const { graphs, cost } = await vectorGraphs(set, projections, shape);
  const fingers = modality === 'face' ? undefined : new FingerReferences(set);
  const references = fingers ?? new FaceReferences(set);
  const methods = {
    codes: fingers === undefined ? [] : chosen.map((percent) => codeMethod(fingers, subjects, percent / 100)),
    graph: ef.map((each) => graphMethod(references, graphs, each)),
  };
  const figures = kinds.map((kind) => compareMethods(kind, subjects, references, methods, rounds));
  return {
    figures: {
      subjects,
      variance: projections[0].variance,
      graph: cost,
      codeMicroseconds: fingers?.codeMicroseconds,
      figures,
    },
    deletion: withDeletion ? expungeSubjects(set, references, graphs, methods.graph, EXPUNGED) : undefined,
  };
}

function wholeNumbers(list: string): number[] {
  const numbers = numbersOf(list);
  if (!numbers.every((value) => Number.isInteger(value) && value > 0))
    throw new InvalidArgumentError('expected ascending whole numbers from 1 on, separated by commas');
  return numbers;
}

function percentages(list: string): number[] {
  const numbers = numbersOf(list);
  if (!numbers.every((value) => value > 0 && value <= 100))
    throw new InvalidArgumentError('expected ascending percentages above 0, separated by commas');
  return numbers;
}

function numbersOf(list: string): number[] {
  const numbers = list.split(',').map(Number);
  return numbers.every((value, i) => i === 0 || value > numbers[i - 1]) ? numbers : [NaN];
}
