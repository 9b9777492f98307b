/** Synthetic samples for the kernel measurements. */
import { createPerson } from '../../fixtures/person.ts';
import { FingerEncoder } from '../../src/matching/kernels/finger-encoder.ts';
import { decodeFloat32Embedding } from '../../src/templates/face-embedding.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';

export const DIMENSION = 512;

export function templatesOf(count: number): FingerTemplate[] {
  return Array.from({ length: count }, (_, i) => {
    const record = createPerson(SEEDS.kernelFingers, i).fingerImpression(2, 0);
    return toFingerTemplate(record, record.views[0]);
  });
}

export function packedFingers(count: number): Uint8Array[] {
  const encoder = new FingerEncoder();
  return templatesOf(count).flatMap((template) => encoder.encode(template) ?? []);
}

export function faceValues(count: number): Int8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(createPerson(SEEDS.kernelFaces, i).faceEmbedding(0).buffer);
    return decodeFloat32Embedding(bytes, { modelId: 'synthetic', dimension: DIMENSION, quality: 0 }).values;
  });
}

export function asBytes(values: Int8Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
