/**
 * Makes the tables that map comparison scores to false match rates, from non-mated comparisons.
 *
 *   npx tsx index-builder/main.ts calibrate finger --data DIR… [--synthetic N] [--folds 4] --out src/matching/rates/calibration/finger.json
 *   npx tsx index-builder/main.ts calibrate face --data DIR --out src/matching/rates/calibration/face.json
 *
 * finger: each DIR is a set of <finger>_<impression>.iso files of one source. Sets are not mixed: the table takes the
 * worst of them at every score, and promises no source a better rate than it has. Scores are cross-validated: the
 * shipped model was trained on some of the sets, and separates their non-mates too well. --folds 0 uses the shipped
 * model, for sets that it was not trained on. Cross-validation takes minutes.
 * face: DIR holds embeddings.f32 (512 components each) and embeddings.tsv (identity in the first column).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { Argument, type Command } from 'commander';
import { FingerBatch } from '../../src/matching/kernels/finger-batch.ts';
import { FACE_TABLE_UNITS } from '../../src/matching/rates/calibrations.ts';
import { scoreOfCosineOne } from '../../src/matching/kernels/similarity.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { compareNonMated } from '../../src/matching/workers/non-mated-scores.ts';
import { decodeEmbeddingRows } from '../../src/templates/embedding-rows.ts';
import { makeTable, TABLE_STEPS, type ScoreHistogram } from '../../src/matching/rates/calibration-table.ts';
import { atLeast } from '../whole-number.ts';
import { areMates, readPrints, syntheticPrints, type PrintSet } from '../prints/labelled-prints.ts';
import { compareAll, packPrints } from '../train/comparisons.ts';
import { crossValidate } from '../train/cross-validation.ts';
import { PARAMETERS, syntheticPeopleOf } from '../train/model.ts';

/** Distinct from the seeds of training. */
const CALIBRATION_SEED = 0x5ca1e;

/** The embeddings of the shipped face table; the name has no meaning. */
const FACE_MODEL = { modelId: 'calibration', dimension: 512, quality: 0 };

interface CalibrateOptions {
  readonly data: readonly string[];
  readonly synthetic: number;
  readonly folds: number;
  readonly out: string;
}

/** Adds `calibrate`, which makes the shipped tables. */
export function addCalibrateCommand(program: Command): void {
  program
    .command('calibrate')
    .addArgument(new Argument('<modality>', 'what the table is for').choices(['finger', 'face']))
    .description('make a shipped table of false match rates, from comparisons of different people')
    .option('--data <folder...>', 'folders of one source each: prints, or embeddings.f32 with embeddings.tsv', [])
    .option('--synthetic <people>', 'fingers: synthetic people besides', atLeast(0), 0)
    .option('--folds <n>', 'fingers: folds of the cross-validation; 0: the shipped model', atLeast(0), 4)
    .requiredOption('--out <file>', 'where to write the table')
    .action(calibrate);
}

async function calibrate(modality: keyof typeof TABLE_STEPS, options: CalibrateOptions): Promise<void> {
  const { data, synthetic, folds, out } = options;
  const sources =
    modality === 'finger'
      ? [...(await fingerSets(data, folds)), ...(synthetic > 0 ? [syntheticSet(synthetic)] : [])]
      : await Promise.all(data.map(faceSet));
  if (sources.length === 0) throw new Error('there is nothing to compare: name folders with --data');
  const table = makeTable(sources, TABLE_STEPS[modality]);
  writeFileSync(out, `${JSON.stringify({ kernel: kernelHash(), ...table }, undefined, 2)}\n`);
  console.log(`${out}: ${table.version}, ${table.scores.length} entries, ${table.sources.join('; ')}`);
}

/** Non-mated scores, by models trained without either person, or by the shipped model. */
async function fingerSets(folders: readonly string[], folds: number): Promise<ScoreHistogram[]> {
  const sets = folders.map(readPrints);
  if (folds === 0) return sets.map(scoredByShippedModel);
  // As many synthetic people as the shipped model was trained on.
  const source = { folders, synthetic: syntheticPeopleOf(shippedFingerModel()) };
  const validated = await crossValidate(source, PARAMETERS, folds, availableParallelism(), (done, total) =>
    console.log(`cross-validation: ${done} of ${total}`),
  );
  return validated.map(({ name, pairs, scores }, s) => {
    const { list } = sets[s];
    const strangers = Array.from(scores).filter(
      (score, i) => score !== FingerBatch.NOT_COMPARABLE && !areMates(list[pairs[2 * i]], list[pairs[2 * i + 1]]),
    );
    return histogram(name, strangers);
  });
}

/** People in no training set: they show the shipped model's own behaviour. */
function syntheticSet(people: number): ScoreHistogram {
  return scoredByShippedModel({ ...syntheticPrints(CALIBRATION_SEED, people, 1), name: `synthetic ${people}` });
}

function scoredByShippedModel({ name, list }: PrintSet): ScoreHistogram {
  const strangers: number[] = [];
  compareAll(list, packPrints(list, shippedFingerModel()), (_a, _b, score, mates) => {
    // A print with too few minutiae was not compared.
    if (!mates && score !== FingerBatch.NOT_COMPARABLE) strangers.push(score);
  });
  return histogram(name, strangers);
}

function histogram(name: string, scores: readonly number[]): ScoreHistogram {
  const counts = new Map<number, number>();
  for (const score of scores) add(counts, score);
  return { name, counts, total: scores.length };
}

async function faceSet(folder: string): Promise<ScoreHistogram> {
  const labels = readFileSync(join(folder, 'embeddings.tsv'), 'utf8');
  const faces = decodeEmbeddingRows(readFileSync(join(folder, 'embeddings.f32')), labels, FACE_MODEL);
  const unit = scoreOfCosineOne(FACE_MODEL.dimension) / FACE_TABLE_UNITS;
  const counts = await compareNonMated(faces, unit, () => undefined);
  return { name: basename(folder), counts, total: [...counts.values()].reduce((sum, count) => sum + count, 0) };
}

function add(counts: Map<number, number>, score: number): void {
  counts.set(score, (counts.get(score) ?? 0) + 1);
}
