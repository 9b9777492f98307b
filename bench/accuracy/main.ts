/**
 * Accuracy of the finger comparison on labelled prints: verification and identification (ISO/IEC 19795-1).
 *
 *   npm run bench -- accuracy --data DIR… [--scores out.csv] [--json] [--threads N] [--plots DIR] [--cross-validate FOLDS]
 *
 * Each DIR holds the ISO/IEC 19794-2:2005 records of one feature extractor, see
 * index-builder/prints/labelled-prints.ts. Its subfolders are databases. Prints of different sets are not compared with
 * each other.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { program } from 'commander';
import { PARAMETERS } from '../../index-builder/train/model.ts';
import { atLeast } from '../../index-builder/whole-number.ts';
import type { FingerModel } from '../../src/matching/model/finger-model.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { detPlot, detTitle, measuredCurve, type MeasuredCurve } from './det-plot.ts';
import { measureGroups, type Figures } from './figures.ts';
import { collectScores } from './finger-scores.ts';
import { groupSets, type Group } from './groups.ts';
import { scoreFile } from './score-file.ts';
import { scoreFolders } from '../scores/score-folders.ts';
import type { ScoredSet } from '../scores/scored-set.ts';
import { failureLine, searchTable, thresholdTable, timingTable, verificationTable } from './tables.ts';
import { measureTimings, type Timings } from './timings.ts';

interface AccuracyOptions {
  readonly data: readonly string[];
  readonly scores?: string;
  readonly json: boolean;
  readonly threads: number;
  readonly plots?: string;
  readonly crossValidate?: number;
}

program
  .name('npm run bench -- accuracy')
  .description('error rates of the finger comparison, with 95 % confidence limits')
  .requiredOption('--data <folder...>', 'sets of records <finger>_<impression>.iso, one set for each extractor')
  .option('--scores <file>', 'write every comparison as CSV: probe,reference,score')
  .option('--json', 'print one JSON object', false)
  .option('--threads <n>', 'threads; results do not depend on them', atLeast(1), availableParallelism())
  .option('--plots <folder>', 'write det.svg there: FNMR over FMR, one line for each set')
  // With two folds a comparison across them would leave no real print to learn from.
  .option('--cross-validate <folds>', 'models trained on neither person, instead of the shipped model', atLeast(3))
  .showHelpAfterError();

try {
  await measure(program.parse().opts<AccuracyOptions>());
} catch (error) {
  console.error(`accuracy: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function measure(options: AccuracyOptions): Promise<void> {
  const folders = options.data.map((folder) => resolve(folder));
  if (new Set(folders.map((folder) => basename(folder))).size < folders.length) {
    throw new Error('--data: two folders have the same name, and their figures could not be told apart');
  }
  const model = shippedFingerModel();
  const sets = await scoreFolders(folders, options.threads, options.crossValidate);
  const groups = groupSets(sets);
  const figures = measureGroups(groups);
  if (options.scores !== undefined) writeFileSync(options.scores, scoreFile(sets));
  const det = detCurves(groups.filter(({ name }) => figures.some((group) => group.name === name)));
  if (options.plots !== undefined) {
    mkdirSync(options.plots, { recursive: true });
    writeFileSync(join(options.plots, 'det.svg'), detPlot(detTitle(options.crossValidate), det));
  }
  const timings = sets.map(({ set }) => measureTimings(set));
  if (options.json) printJson(model, sets, { figures, timings, det }, options.crossValidate);
  else printTables(model, sets, figures, timings, options.crossValidate);
}

/** DET curves of the sets and of the pool. A single set is also drawn by its databases. */
function detCurves(groups: readonly Group[]): MeasuredCurve[] {
  const sets = groups.filter(({ kind }) => kind === 'set');
  const drawn = sets.length === 1 ? groups : groups.filter(({ kind, name }) => kind === 'set' || name === 'pooled');
  return drawn.map((group) => measuredCurve(group.name, collectScores(group)));
}

/** Sets that the shipped model learned from: figures on them are not held out. */
function seenInTraining(model: FingerModel, sets: readonly ScoredSet[]): string[] {
  const known = new Set(model.description.trainedOn.map(({ digest }) => digest));
  return sets.filter(({ set }) => known.has(set.digest)).map(({ set }) => set.name);
}

function printJson(
  model: FingerModel,
  sets: readonly ScoredSet[],
  measured: {
    readonly figures: readonly Figures[];
    readonly timings: readonly Timings[];
    readonly det: readonly MeasuredCurve[];
  },
  folds: number | undefined,
): void {
  const report = {
    model: folds === undefined ? { name: model.description.name, hash: model.hash } : null,
    crossValidation: folds === undefined ? null : { folds, parameters: PARAMETERS },
    kernel: kernelHash(),
    seenInTraining: folds === undefined ? seenInTraining(model, sets) : [],
    sets: sets.map(({ set: { name, fingers, prints, digest } }) => ({ name, fingers, prints, digest })),
    ...measured,
  };
  console.log(JSON.stringify(report, (_, value: unknown) => (value === undefined ? null : value)));
}

function printTables(
  model: FingerModel,
  sets: readonly ScoredSet[],
  figures: readonly Figures[],
  timings: readonly Timings[],
  folds: number | undefined,
): void {
  const seen = seenInTraining(model, sets);
  if (folds === undefined) {
    console.log(`Model ${model.description.name} ${model.hash}, kernel ${kernelHash()}.`);
    if (seen.length > 0)
      console.log(`The model was trained on these sets; use --cross-validate for held-out rates: ${seen.join(', ')}.`);
  } else {
    console.log(`Cross-validated in ${folds} folds by person: no model was trained on either person of a comparison.`);
    console.log(`Scores of all folds are pooled. Kernel with the shipped model: ${kernelHash()}.`);
  }
  console.log(failureLine(figures));
  console.log('\nVerification: rates in %, with 95 % confidence limits [low, high] (subset bootstrap by finger);');
  console.log(
    'without an error, Clopper-Pearson with one trial per finger. -: fewer than 1/FMR non-mated comparisons.',
  );
  console.log(verificationTable(figures));
  console.log('\nThresholds (the lowest score that matches):');
  console.log(thresholdTable(figures));
  console.log('\nIdentification: references are the first impressions of fingers, probes are the other prints.');
  console.log(searchTable(figures));
  console.log('\nTimings of one thread:');
  console.log(timingTable(timings));
}
