import { readFileSync } from 'node:fs';
import { readFingerModel, type FingerModel } from './finger-model.ts';

let model: FingerModel | undefined;

/** The finger model that this program uses, read once for each thread. @throws Error when it is missing or damaged */
export function shippedFingerModel(): FingerModel {
  model ??= readFingerModel(readFileSync(new URL('./model/finger.model', import.meta.url)));
  return model;
}
