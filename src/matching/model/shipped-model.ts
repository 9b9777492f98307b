import { readFileSync } from 'node:fs';
import { readFingerModel, type FingerModel } from './finger-model.ts';
import { readVectorModel, type VectorModel } from './finger-vector-model.ts';

let model: FingerModel | undefined;
let vectorModel: VectorModel | undefined;

/** The shipped finger model, read once per thread. @throws Error when it is missing or damaged */
export function shippedFingerModel(): FingerModel {
  model ??= readFingerModel(readFileSync(new URL('./finger.model', import.meta.url)));
  return model;
}

/** The shipped model of the candidate vectors, read once per thread. @throws Error when it is missing or damaged */
export function shippedVectorModel(): VectorModel {
  vectorModel ??= readVectorModel(readFileSync(new URL('./finger-vector.model', import.meta.url)));
  return vectorModel;
}
