import { readPrints } from '../../index-builder/prints/labelled-prints.ts';
import { crossValidate } from '../../index-builder/train/cross-validation.ts';
import { PARAMETERS, syntheticPeopleOf } from '../../index-builder/train/model.ts';
import { shippedFingerModel } from '../../src/matching/model/shipped-model.ts';
import { scoreSets, type ScoredSet } from './scored-set.ts';

/**
 * Scores of the prints in folders: by the shipped model, or, cross-validated, by models that saw neither person.
 * @param folds - undefined: the shipped model
 */
export async function scoreFolders(
  folders: readonly string[],
  threads: number,
  folds: number | undefined,
): Promise<ScoredSet[]> {
  if (folds === undefined)
    return scoreSets(
      folders.map((folder) => ({ folder })),
      threads,
    );
  // As many synthetic people as the shipped model learned from.
  const synthetic = syntheticPeopleOf(shippedFingerModel());
  const sets = folders.map(readPrints);
  const tell = (done: number, total: number) => {
    if (process.stderr.isTTY)
      process.stderr.write(`\rcross-validation: ${done} of ${total} trainings${done === total ? '\n' : ''}`);
  };
  const validated = await crossValidate({ folders, synthetic }, PARAMETERS, folds, threads, tell);
  return validated.map(({ pairs, scores }, i) => ({ set: sets[i], pairs, scores }));
}
