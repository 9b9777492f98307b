/** A thread of the ablations. */
import type { FoldTask } from '../../index-builder/train/cross-validation.ts';
import { trainingPrints } from '../../index-builder/train/training-prints.ts';
import { ablateFolds, type FoldScores } from './fold.ts';

/** Called by the pool. */
export default function run(task: FoldTask): FoldScores[][] {
  return ablateFolds(trainingPrints(task.source), task);
}
