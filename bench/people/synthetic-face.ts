import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { decodeFloat32Embedding } from '../../src/templates/face-embedding.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';

/** The model of the synthetic faces. */
export const FACE_MODEL = 'synthetic-512';

/** The template of an embedding of the synthetic model. */
export function faceTemplate(embedding: Float32Array): FaceTemplate {
  const bytes = new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength);
  return decodeFloat32Embedding(bytes, { modelId: FACE_MODEL, dimension: FACE_DIMENSION, quality: 0 });
}
