import { Failure } from '../failure.ts';
import { judgeComponents, judgeSignedBytes, requireOneScale } from './component-judgement.ts';
import type { FaceTemplate } from './face-template.ts';
import { unnoticed, type Notice } from './sample-warnings.ts';
import { TemplateError } from './template-error.ts';

/** Limits of an embedding's number of components. */
const MIN_DIMENSION = 64;
const MAX_DIMENSION = 2048;
/** Kernels read sixteen components at a time. */
const DIMENSION_STEP = 16;
const MODEL_ID = /^[a-z0-9._-]{1,64}$/;
/** Standard deviations covered by a signed byte; components of real embeddings rarely lie beyond. */
const RANGE_IN_DEVIATIONS = 4.5;
const MAX_VALUE = 127;
/** Maximum relative change of the length by rounding: half a unit in each component. */
const MAX_ROUNDING = RANGE_IN_DEVIATIONS / MAX_VALUE / 2;

/** What the bytes of an embedding do not state. */
export interface EmbeddingDescription {
  readonly modelId: string;
  readonly dimension: number;
  /** 1 to 100; 0: not stated. */
  readonly quality: number;
}

/** @throws Failure that names the field, when the model id or the dimension is impossible */
export function checkDescription({ modelId, dimension }: EmbeddingDescription): void {
  if (!MODEL_ID.test(modelId)) {
    const sentence = "The model id must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.";
    throw new Failure('invalid-argument', 'MODEL_ID_INVALID', sentence, { field: 'model_id' });
  }
  const inRange = dimension >= MIN_DIMENSION && dimension <= MAX_DIMENSION;
  if (!inRange || dimension % DIMENSION_STEP !== 0) {
    const sentence = `The dimension must be ${MIN_DIMENSION} to ${MAX_DIMENSION}, a multiple of ${DIMENSION_STEP}.`;
    throw new Failure('invalid-argument', 'DIMENSION_INVALID', sentence, { field: 'dimension' });
  }
}

/**
 * Reads little-endian IEEE 754 binary32 components, of any positive norm.
 * @param notice - called for each oddity
 * @throws TemplateError: wrong length, NaN or infinity, implausible magnitudes, zero length; Failure as
 * `checkDescription`
 */
export function decodeFloat32Embedding(
  bytes: Uint8Array,
  description: EmbeddingDescription,
  notice: Notice = unnoticed,
): FaceTemplate {
  checkDescription(description);
  requireLength(bytes, description.dimension * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const components = Array.from({ length: description.dimension }, (_, i) => view.getFloat32(i * 4, true));
  requireOneScale(components, view);
  return judged(withUnitLength(components, description), notice);
}

/**
 * Reads signed bytes, −127 to 127. Values that already are a template's stay unchanged: an export enrolled again gives
 * the stored template.
 * @param notice - called for each oddity
 * @throws TemplateError: wrong length, −128, all zero; Failure as `checkDescription`
 */
export function decodeInt8Embedding(
  bytes: Uint8Array,
  description: EmbeddingDescription,
  notice: Notice = unnoticed,
): FaceTemplate {
  checkDescription(description);
  requireLength(bytes, description.dimension);
  const components = Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), (value, i) => {
    if (value !== -128) return value;
    throw new TemplateError('OUT_OF_RANGE', i, 'A component is −128, which has no counterpart');
  });
  judgeSignedBytes(components, notice);
  const template = isCanonical(components)
    ? { modality: 'face' as const, ...description, values: Int8Array.from(components) }
    : withUnitLength(components, description);
  return judged(template, notice);
}

function judged(template: FaceTemplate, notice: Notice): FaceTemplate {
  judgeComponents(template.values, notice);
  return template;
}

/**
 * Reads a template's own values, as stored.
 * @throws TemplateError when their number differs from the dimension
 */
export function decodeStoredFace(bytes: Uint8Array, description: EmbeddingDescription): FaceTemplate {
  checkDescription(description);
  requireLength(bytes, description.dimension);
  return {
    modality: 'face',
    ...description,
    values: Int8Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
  };
}

function requireLength(bytes: Uint8Array, expected: number): void {
  if (bytes.length === expected) return;
  const what = bytes.length < expected ? 'TRUNCATED' : 'TRAILING_BYTES';
  const sentence = `An embedding of this dimension and format has ${expected} bytes, not ${bytes.length}`;
  throw new TemplateError(what, Math.min(bytes.length, expected), sentence);
}

/**
 * Unit length, then signed bytes. Sums in index order and double precision: the result is the same on every machine.
 */
function withUnitLength(components: readonly number[], description: EmbeddingDescription): FaceTemplate {
  const norm = lengthOf(components);
  if (norm === 0) throw new TemplateError('NO_LENGTH', 0, 'All components are zero');
  const scale = unitLength(description.dimension) / norm;
  const values = Int8Array.from(components, (value) =>
    Math.max(-MAX_VALUE, Math.min(MAX_VALUE, Math.round(value * scale))),
  );
  return { modality: 'face', ...description, values };
}

/** Whether signed bytes are a quantised embedding: of unit length except for rounding, or shorter where clipped. */
function isCanonical(components: readonly number[]): boolean {
  const ratio = lengthOf(components) / unitLength(components.length);
  if (ratio > 1 + MAX_ROUNDING) return false;
  return ratio >= 1 - MAX_ROUNDING || components.some((value) => Math.abs(value) === MAX_VALUE);
}

function lengthOf(components: readonly number[]): number {
  let squares = 0;
  for (const value of components) squares += value * value;
  return Math.sqrt(squares);
}

/** Length 1 in signed bytes. */
function unitLength(dimension: number): number {
  return (MAX_VALUE * Math.sqrt(dimension)) / RANGE_IN_DEVIATIONS;
}
