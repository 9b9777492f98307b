/** Embeddings of real people. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { faceTemplate } from './synthetic-face.ts';

/**
 * The images of each person.
 * @param folder - has embeddings.f32, rows of floats, and embeddings.tsv, a line for each below a heading, identity in
 * the first column
 */
export function facesOfPeople(folder: string): {
  readonly dimension: number;
  readonly people: readonly Float32Array[][];
} {
  const bytes = readFileSync(join(folder, 'embeddings.f32'));
  const rows = readFileSync(join(folder, 'embeddings.tsv'), 'utf8').trim().split('\n').slice(1);
  const dimension = bytes.length / 4 / rows.length;
  const floats = new Float32Array(new Uint8Array(bytes).buffer);
  const images = rows.map((row, i) => ({
    identity: row.split('\t')[0],
    embedding: floats.subarray(i * dimension, (i + 1) * dimension),
  }));
  const people = Map.groupBy(images, ({ identity }) => identity);
  return { dimension, people: [...people.values()].map((own) => own.map(({ embedding }) => embedding)) };
}

/** The stored form of an embedding. */
export function quantised(embedding: Float32Array): Int8Array {
  const packed = packFace(faceTemplate(embedding));
  return new Int8Array(packed.buffer, packed.byteOffset, packed.byteLength);
}
