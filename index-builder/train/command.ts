import { availableParallelism } from 'node:os';
import { writeFileSync } from 'node:fs';
import { SingleBar, Presets } from 'cli-progress';
import Table from 'cli-table3';
import type { Command } from 'commander';
import { readFingerModel, writeFingerModel } from '../../src/matching/model/finger-model.ts';
import { readPrints, type PrintSet } from '../prints/labelled-prints.ts';
import { atLeast } from '../whole-number.ts';
import { crossValidate } from './cross-validation.ts';
import { FALSE_MATCH_RATES, heldOutRates } from './held-out.ts';
import { PARAMETERS, prepareSet, SYNTHETIC, syntheticSets, trainModel } from './model.ts';

interface TrainOptions {
  readonly data: readonly string[];
  readonly synthetic: number;
  readonly out: string;
  readonly folds: number;
  readonly threads: number;
}

/** Adds `train`, which makes a finger model. */
export function addTrainCommand(program: Command): void {
  program
    .command('train')
    .description(
      'learn a finger model from prints whose finger is known; the same prints make the same file, byte for byte',
    )
    .option(
      '--data <folder...>',
      'folders of ISO/IEC 19794-2:2005 records, <finger>_<impression>.iso, one for each extractor',
      [],
    )
    .option(
      '--synthetic <people>',
      `synthetic people to learn from besides, ${SYNTHETIC.impressions} impressions each`,
      atLeast(0),
      150,
    )
    .option(
      '--folds <n>',
      'cross-validate over the people in this many folds and report, 3 at least; 0: do not',
      atLeast(0),
      4,
    )
    .option(
      '--threads <n>',
      'threads of the cross-validation; they do not change its result',
      atLeast(1),
      availableParallelism(),
    )
    .requiredOption('--out <file>', 'where to write the model')
    .action(train);
}

async function train({ data, synthetic, out, folds, threads }: TrainOptions): Promise<void> {
  if (folds === 1 || folds === 2)
    throw new Error(
      '--folds: a comparison across two folds leaves no real print to learn from; expected 0, or 3 and more',
    );
  const real = data.map(readPrints);
  const sets = [...real, ...syntheticSets(synthetic)];
  if (sets.length === 0)
    throw new Error('there is nothing to learn from: name folders with --data, or people with --synthetic');
  for (const { name, fingers, prints } of sets) console.log(`${name}: ${fingers} fingers, ${prints} prints`);
  if (folds > 0 && real.length > 0) {
    const validated = await withProgress('cross-validation', async (tell) =>
      crossValidate({ folders: data, synthetic }, PARAMETERS, folds, threads, tell),
    );
    report(
      real,
      validated.map((set, i) => heldOutRates(real[i], set)),
      folds,
    );
  }
  const model = await withProgress('training', (tell) =>
    Promise.resolve(
      trainModel(
        sets.map(prepareSet),
        PARAMETERS,
        () => true,
        (_, done, total) => tell(done, total),
      ),
    ),
  );
  const file = writeFingerModel(model);
  writeFileSync(out, file);
  console.log(
    `${out}: ${model.description.name}, ${file.byteLength} bytes, SHA-256 of its parts ${readFingerModel(file).hash}`,
  );
}

async function withProgress<T>(
  name: string,
  run: (tell: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const bar = new SingleBar(
    { format: `${name} {bar} {value}/{total} {duration_formatted}`, noTTYOutput: false },
    Presets.shades_classic,
  );
  bar.start(1, 0);
  try {
    return await run((done, total) => {
      bar.setTotal(total);
      bar.update(done);
    });
  } finally {
    bar.stop();
  }
}

function report(sets: readonly PrintSet[], rates: readonly ReturnType<typeof heldOutRates>[], folds: number): void {
  const table = new Table({
    head: ['set', 'fingers', 'mated', 'non-mated', ...FALSE_MATCH_RATES.map((rate) => `FNMR at FMR ${rate}`)],
  });
  rates.forEach(({ set, mated, nonMated, falseNonMatchRates }, i) => {
    const shares = falseNonMatchRates.map((rate) => (rate === undefined ? '-' : `${(100 * rate).toFixed(2)} %`));
    table.push([set, sets[i].fingers, mated, nonMated, ...shares]);
  });
  console.log(
    `Held out: people in ${folds} folds; every comparison by a model that has seen neither of the two people.`,
  );
  console.log(table.toString());
}
