import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { writeVectorModel } from '../../src/matching/model/finger-vector-model.ts';
import { readPrints } from '../prints/labelled-prints.ts';
import { SYNTHETIC, syntheticSets } from './model.ts';
import { prepareRoots, trainVectorModel } from './vectors.ts';

interface Options {
  readonly data: readonly string[];
  readonly synthetic: string;
  readonly out: string;
}

/** Adds `train-vector`, which makes the model of the candidate vectors. Held-out figures: npm run bench -- hit-rate. */
export function addTrainVectorCommand(program: Command): void {
  program
    .command('train-vector')
    .description('learn the candidate vectors of fingers; the same prints make the same file, byte for byte')
    .option('--data <folder...>', 'folders of ISO/IEC 19794-2:2005 records, <finger>_<impression>.iso', [])
    .option('--synthetic <people>', `synthetic people besides, ${SYNTHETIC.impressions} impressions each`, '2000')
    .requiredOption('--out <file>', 'where to write the model')
    .action(({ data, synthetic, out }: Options) => {
      const people = Number(synthetic);
      if (!Number.isInteger(people) || people < 0) throw new Error('--synthetic: expected a whole number from 0 on');
      const real = data.map((folder) => prepareRoots(readPrints(folder), 'real'));
      const made = syntheticSets(people).map((set) => prepareRoots(set, 'synthetic'));
      const sets = [...real, ...made];
      if (sets.length === 0)
        throw new Error('there is nothing to learn from: name folders with --data, or people with --synthetic');
      const model = trainVectorModel(
        sets,
        () => true,
        (step, done, total) => console.log(`${done}/${total} ${step}`),
      );
      writeFileSync(out, writeVectorModel(model));
      console.log(`${out}: ${model.description.name}, SHA-256 ${model.hash}`);
    });
}
