/** A thread of the cross-validation: reads the prints once, then trains and tests on request. */
import { validateFolds, type FoldTask, type ValidatedSet } from './cross-validation.ts';
import { trainingPrints } from './training-prints.ts';

/** The entry point that the pool calls. */
export default function run(task: FoldTask): ValidatedSet[] {
  const { real, synthetic } = trainingPrints(task.source);
  return validateFolds(real, synthetic, task);
}
