/** Prints of a training source, prepared for training; read once per thread. */
import { readPrints } from '../prints/labelled-prints.ts';
import type { TrainingSource } from './cross-validation.ts';
import { prepareSet, syntheticSets, type PreparedSet } from './model.ts';

export interface TrainingPrints {
  readonly real: readonly PreparedSet[];
  /** Empty without synthetic people. */
  readonly synthetic: readonly PreparedSet[];
}

const known = new Map<string, TrainingPrints>();

export function trainingPrints(source: TrainingSource): TrainingPrints {
  const key = JSON.stringify(source);
  let prints = known.get(key);
  if (prints === undefined) {
    prints = {
      real: source.folders.map((folder) => prepareSet(readPrints(folder))),
      synthetic: syntheticSets(source.synthetic).map(prepareSet),
    };
    known.set(key, prints);
  }
  return prints;
}
