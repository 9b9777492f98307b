/** Embeddings of synthetic or real people. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { facesOf } from '../gallery/synthetic-gallery.ts';
import { faceOf } from '../people/sought-people.ts';
import { faceTemplate } from '../people/synthetic-face.ts';
import { drawStrangers } from './strangers.ts';
import { roomFor, type VectorSet } from './vector-set.ts';

/** @param mates - subjects with a probe */
export async function syntheticFaces(subjects: number, mates: number, threads: number): Promise<VectorSet> {
  const references = roomFor(subjects, FACE_DIMENSION);
  for (let person = 0; person < mates; person++) references.set(faceOf(person, 0).values, person * FACE_DIMENSION);
  let row = mates;
  for await (const face of facesOf(subjects - mates, threads)) references.set(face, row++ * FACE_DIMENSION);
  return {
    description: `${subjects} synthetic people; ${mates} are searched with another capture`,
    dimension: FACE_DIMENSION,
    subjects,
    positions: [references],
    kinds: [{ kind: 'faces', probes: Array.from({ length: mates }, (_, person) => [faceOf(person, 1).values]) }],
  };
}

/**
 * The first image of every real person, filled up with synthetic non-mates: there are too few real people.
 * @param folder - has embeddings.f32 and embeddings.tsv, identity in the first column
 * @param mates - largest number of people searched by their second image
 * @throws Error if the folder has more people than `subjects`
 */
export function realFaces(folder: string, subjects: number, mates: number): VectorSet {
  const { dimension, people } = readPeople(folder);
  if (people.length > subjects) {
    throw new Error(`${folder} has ${people.length} people; --subjects must be as many at least.`);
  }
  const sought = people.filter((images) => images.length > 1).slice(0, mates);
  const chosen = new Set(sought);
  const enrolled = [...sought, ...people.filter((images) => !chosen.has(images))];
  const references = roomFor(subjects, dimension);
  enrolled.forEach(([image], row) => references.set(quantised(image), row * dimension));
  const firstImages = people.map(([image]) => image);
  references.set(madeStrangers(firstImages, subjects - people.length), enrolled.length * dimension);
  return {
    description:
      `${basename(folder)}: ${people.length} real people, ${sought.length} of them searched with another image, and ` +
      `${subjects - people.length} synthetic non-mates, drawn from a Gaussian with the mean and the covariance of the real people`,
    dimension,
    subjects,
    positions: [references],
    kinds: [{ kind: 'faces', probes: sought.map(([, image]) => [quantised(image)]) }],
  };
}

function quantised(embedding: Float32Array): Int8Array {
  const packed = packFace(faceTemplate(embedding));
  return new Int8Array(packed.buffer, packed.byteOffset, packed.byteLength);
}

/** The images of each person. */
function readPeople(folder: string): { readonly dimension: number; readonly people: readonly Float32Array[][] } {
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

/** Synthetic non-mates; made once and kept in the temporary folder. */
function madeStrangers(real: readonly Float32Array[], count: number): Int8Array {
  const digest = createHash('sha256');
  for (const embedding of real) digest.update(embedding);
  const file = join(tmpdir(), `ridgewatch-strangers-${digest.digest('hex').slice(0, 16)}-${count}.i8`);
  if (!existsSync(file)) {
    const made = drawStrangers(real, count, quantised);
    writeFileSync(`${file}.part`, made);
    renameSync(`${file}.part`, file);
  }
  const bytes = readFileSync(file);
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
