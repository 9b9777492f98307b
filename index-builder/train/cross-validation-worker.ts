/** A thread of the cross-validation: reads the prints once, then trains and tests as it is told. */
import { readPrints, syntheticPrints } from '../labelled-prints.ts';
import { validateFolds, type FoldTask, type TrainingSource, type ValidatedSet } from './cross-validation.ts';
import { prepareSet, SYNTHETIC, type PreparedSet } from './model.ts';

interface Prints {
  readonly real: readonly PreparedSet[];
  readonly synthetic: readonly PreparedSet[];
}

const known = new Map<string, Prints>();

function printsOf(source: TrainingSource): Prints {
  const key = JSON.stringify(source);
  let prints = known.get(key);
  if (prints === undefined) {
    const { seed, impressions } = SYNTHETIC;
    prints = {
      real: source.folders.map((folder) => prepareSet(readPrints(folder))),
      synthetic: source.synthetic > 0 ? [prepareSet(syntheticPrints(seed, source.synthetic, impressions))] : [],
    };
    known.set(key, prints);
  }
  return prints;
}

/** The entry that the pool calls. */
export default function run(task: FoldTask): ValidatedSet[] {
  const { real, synthetic } = printsOf(task.source);
  return validateFolds(real, synthetic, task);
}
