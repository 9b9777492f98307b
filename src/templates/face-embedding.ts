import { Failure } from '../failure.ts';
import type { FaceTemplate } from './face-template.ts';
import { TemplateError } from './template-error.ts';

/** Limits of an embedding's number of components. */
const SMALLEST_DIMENSION = 64;
const LARGEST_DIMENSION = 2048;
/** Kernels read sixteen components at a time. */
const DIMENSION_STEP = 16;
const MODEL_ID = /^[a-z0-9._-]{1,64}$/;
/** Standard deviations that the range of a signed byte covers; components of real embeddings rarely lie beyond. */
const RANGE_IN_DEVIATIONS = 4.5;
const LARGEST_VALUE = 127;

/** What the bytes of an embedding do not say themselves. */
export interface EmbeddingDescription {
  readonly modelId: string;
  readonly dimension: number;
  /** 1 to 100; 0: not stated. */
  readonly quality: number;
}

/** @throws Failure that names the field, when the model id or the dimension is none that can exist */
export function checkDescription({ modelId, dimension }: EmbeddingDescription): void {
  if (!MODEL_ID.test(modelId)) {
    const sentence = "The model id must be 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.";
    throw new Failure('invalid-argument', 'MODEL_ID_INVALID', sentence, { field: 'model_id' });
  }
  const inRange = dimension >= SMALLEST_DIMENSION && dimension <= LARGEST_DIMENSION;
  if (!inRange || dimension % DIMENSION_STEP !== 0) {
    const sentence = `The dimension must be ${SMALLEST_DIMENSION} to ${LARGEST_DIMENSION}, a multiple of ${DIMENSION_STEP}.`;
    throw new Failure('invalid-argument', 'DIMENSION_INVALID', sentence, { field: 'dimension' });
  }
}

/**
 * Reads little-endian IEEE 754 binary32 components, any positive norm.
 * @throws TemplateError: wrong length, NaN or infinity, no length at all; Failure as `checkDescription`
 */
export function decodeFloat32Embedding(bytes: Uint8Array, description: EmbeddingDescription): FaceTemplate {
  checkDescription(description);
  requireLength(bytes, description.dimension * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const components = Array.from({ length: description.dimension }, (_, i) => {
    const value = view.getFloat32(i * 4, true);
    if (!Number.isFinite(value)) throw new TemplateError('NOT_FINITE', i * 4, 'A component is not a finite number');
    return value;
  });
  return quantise(components, description);
}

/**
 * Reads signed bytes, −127 to 127.
 * @throws TemplateError: wrong length, −128, all zero; Failure as `checkDescription`
 */
export function decodeInt8Embedding(bytes: Uint8Array, description: EmbeddingDescription): FaceTemplate {
  checkDescription(description);
  requireLength(bytes, description.dimension);
  const components = Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), (value, i) => {
    if (value === -128) throw new TemplateError('OUT_OF_RANGE', i, 'A component is −128, which has no counterpart');
    return value;
  });
  return quantise(components, description);
}

/**
 * Reads a template's own values, as they are stored.
 * @throws TemplateError when they are not as many as the dimension says
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

/** Unit length, then signed bytes. Sums in index order in double precision, so that it comes out the same everywhere. */
function quantise(components: readonly number[], description: EmbeddingDescription): FaceTemplate {
  let squares = 0;
  for (const value of components) squares += value * value;
  const norm = Math.sqrt(squares);
  if (norm === 0) throw new TemplateError('NO_LENGTH', 0, 'All components are zero');
  const scale = (LARGEST_VALUE * Math.sqrt(description.dimension)) / RANGE_IN_DEVIATIONS / norm;
  const values = Int8Array.from(components, (value) =>
    Math.max(-LARGEST_VALUE, Math.min(LARGEST_VALUE, Math.round(value * scale))),
  );
  return { modality: 'face', ...description, values };
}
