/**
 * Ablation of the finger comparison: error rates of the whole, and without one part at a time. Cross-validated by
 * person, as `accuracy --cross-validate`.
 *
 *   npm run bench -- ablations --data DIR… [--folds N] [--synthetic PEOPLE] [--threads N] [--json]
 */
import { availableParallelism } from 'node:os';
import Table from 'cli-table3';
import { program } from 'commander';
import { readPrints, type PrintSet } from '../../index-builder/prints/labelled-prints.ts';
import { runFolds } from '../../index-builder/train/cross-validation.ts';
import { PARAMETERS, syntheticPeopleOf } from '../../index-builder/train/model.ts';
import { atLeast } from '../../index-builder/whole-number.ts';
import { kernelHash } from '../../src/matching/kernels/kernels.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { FALSE_MATCH_RATES, measureVariants, type SetFigures } from './figures.ts';
import type { FoldScores } from './fold.ts';
import { VARIANTS } from './variants.ts';

interface AblationOptions {
  readonly data: readonly string[];
  readonly folds: number;
  readonly synthetic?: number;
  readonly threads: number;
  readonly json: boolean;
}

program
  .name('npm run bench -- ablations')
  .description('error rates of the finger comparison without one part at a time, cross-validated by person')
  .requiredOption('--data <folder...>', 'sets of records <finger>_<impression>.iso, one set for each extractor')
  // With two folds a comparison across them would leave no real print to learn from.
  .option('--folds <n>', 'folds by person', atLeast(3), 4)
  .option(
    '--synthetic <people>',
    'synthetic people in training; when not given as many as of the shipped model',
    atLeast(1),
  )
  .option('--threads <n>', 'threads; results do not depend on them', atLeast(1), availableParallelism())
  .option('--json', 'print one JSON object', false)
  .showHelpAfterError();

try {
  await ablate(program.parse().opts<AblationOptions>());
} catch (error) {
  console.error(`ablations: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

async function ablate({ data, folds, threads, json, ...given }: AblationOptions): Promise<void> {
  const synthetic = given.synthetic ?? syntheticPeopleOf(shippedFingerModel());
  const sets = data.map(readPrints);
  const tell = (done: number, total: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${total} pairs of folds${done === total ? '\n' : ''}`);
  };
  const worker = new URL('./fold-worker.ts', import.meta.url);
  const task = { source: { folders: data, synthetic }, parameters: PARAMETERS, folds };
  const figures = measureVariants(await runFolds<FoldScores[][]>(worker, task, threads, tell));
  if (json) printJson(sets, folds, synthetic, figures);
  else printTable(sets, folds, synthetic, figures);
}

function printJson(
  sets: readonly PrintSet[],
  folds: number,
  synthetic: number,
  figures: readonly (readonly SetFigures[])[],
): void {
  const report = {
    crossValidation: { folds, synthetic, parameters: PARAMETERS },
    kernel: kernelHash(),
    falseMatchRates: FALSE_MATCH_RATES,
    variants: VARIANTS.map(({ name }, v) => ({
      name,
      sets: sets.map((set, s) => ({ name: set.name, digest: set.digest, ...figures[v][s] })),
    })),
  };
  console.log(JSON.stringify(report, (_, value: unknown) => (value === undefined ? null : value)));
}

function printTable(
  sets: readonly PrintSet[],
  folds: number,
  synthetic: number,
  figures: readonly (readonly SetFigures[])[],
): void {
  console.log(`Cross-validated in ${folds} folds by person: no model was trained on either person of a comparison.`);
  console.log(
    `Training with ${synthetic} synthetic people. FNMR in % at FMR 10^-3 and 10^-4. −: mated pairs that match at`,
  );
  console.log('FMR 10^-3 with everything and not with the variant; +: those that match with the variant alone.');
  const head = ['', ...sets.flatMap(({ name }) => [`${name} 10^-3`, '10^-4', '− +']), 'all: − +'];
  const colAligns = head.map((_, i) => (i === 0 ? 'left' : 'right'));
  const table = new Table({ head, colAligns, style: { head: [], border: [], compact: true } });
  VARIANTS.forEach(({ name }, v) => {
    const cells = figures[v].flatMap(({ falseNonMatchRates: [strict, usual], lost, won }) => [
      percent(usual),
      percent(strict),
      v === 0 ? '' : `−${lost} +${won}`,
    ]);
    const sum = (key: 'lost' | 'won') => figures[v].reduce((total, one) => total + one[key], 0);
    table.push([name, ...cells, v === 0 ? '' : `−${sum('lost')} +${sum('won')}`]);
  });
  console.log(table.toString());
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : (100 * share).toFixed(2);
}
