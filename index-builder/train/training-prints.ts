/** Prints of a training source, ready for training; read once for each thread. */
import { readPrints, syntheticPrints } from '../labelled-prints.ts';
import type { TrainingSource } from './cross-validation.ts';
import { prepareSet, SYNTHETIC, type PreparedSet } from './model.ts';

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
    const { seed, impressions } = SYNTHETIC;
    prints = {
      real: source.folders.map((folder) => prepareSet(readPrints(folder))),
      synthetic: source.synthetic > 0 ? [prepareSet(syntheticPrints(seed, source.synthetic, impressions))] : [],
    };
    known.set(key, prints);
  }
  return prints;
}
