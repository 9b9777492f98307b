/**
 * The finger comparison model: all its trained parameters, in one file made by index-builder/train/. Its parts, see
 * model-container.ts: i16 planes [128 × 384], i32 offsets [128], i32 weights [knots of the score's terms].
 */
import { readContainer, writeContainer } from './model-container.ts';
import { KNOT_COUNT } from './score-terms.ts';

/** Bits of a minutia code. */
export const CODE_BITS = 128;
/** Values of a cylinder. */
export const CYLINDER_SIZE = 384;
/** Cap of the root of a cylinder's value. */
export const MAX_ROOT = 8191;

/** 'RWFM'. */
const KIND = { magic: 0x4d465752, format: 1, what: 'finger model' } as const;
const PLANES_BYTES = CODE_BITS * CYLINDER_SIZE * 2;
const OFFSETS_BYTES = CODE_BITS * 4;
const WEIGHTS_BYTES = KNOT_COUNT * 4;

/** A set of prints that a model was trained on. */
export interface TrainingSet {
  readonly name: string;
  readonly fingers: number;
  readonly prints: number;
  /** SHA-256 of the templates' names and bytes, in order. */
  readonly digest: string;
}

export interface ModelDescription {
  readonly name: string;
  readonly trainedOn: readonly TrainingSet[];
  /** Parameters of the training. */
  readonly parameters: Readonly<Record<string, number | string>>;
}

export interface FingerModel {
  readonly description: ModelDescription;
  /** Planes of a minutia's code: bit k is Σ planes[k][i] · root[i] > offsets[k]. */
  readonly planes: Int16Array;
  readonly offsets: Int32Array;
  /** Weights of the knots of the score's terms, sixteenths of points. */
  readonly weights: Int32Array;
  /** SHA-256 of the whole file, hexadecimal. */
  readonly hash: string;
}

/** @throws RangeError when a part has the wrong size, or sums over a plane could exceed thirty-two bits */
export function writeFingerModel(model: Omit<FingerModel, 'hash'>): Uint8Array {
  checkParts(model);
  return writeContainer(KIND, model.description, [model.planes, model.offsets, model.weights]);
}

function checkParts({ planes, offsets, weights }: Omit<FingerModel, 'hash'>): void {
  if (planes.length !== CODE_BITS * CYLINDER_SIZE) throw new RangeError('planes of the wrong size');
  if (offsets.length !== CODE_BITS) throw new RangeError('offsets of the wrong size');
  if (weights.length !== KNOT_COUNT) throw new RangeError('weights of the wrong size');
  for (let k = 0; k < CODE_BITS; k++) {
    let most = 0;
    for (let i = 0; i < CYLINDER_SIZE; i++) most += Math.abs(planes[k * CYLINDER_SIZE + i]) * MAX_ROOT;
    if (most >= 2 ** 31) throw new RangeError(`the sums of plane ${k} could overflow thirty-two bits`);
  }
}

/**
 * Reads a model file.
 * @throws Error when it is damaged, or of another format
 */
export function readFingerModel(file: Uint8Array): FingerModel {
  const { description, parts, hash } = readContainer(KIND, file, [PLANES_BYTES, OFFSETS_BYTES, WEIGHTS_BYTES]);
  const [planes, offsets, weights] = parts;
  return {
    description: description as ModelDescription,
    planes: new Int16Array(planes),
    offsets: new Int32Array(offsets),
    weights: new Int32Array(weights),
    hash,
  };
}
