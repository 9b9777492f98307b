/** Embeddings of synthetic or real people. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { facesOf } from '../gallery/synthetic-gallery.ts';
import { faceOf } from '../people/sought-people.ts';
import { drawStrangers } from '../people/face-strangers.ts';
import { facesOfPeople, quantised } from '../people/real-faces.ts';
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
  const { dimension, people } = facesOfPeople(folder);
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

/** Synthetic non-mates; made once and kept in the temporary folder. */
function madeStrangers(real: readonly Float32Array[], count: number): Int8Array {
  const digest = createHash('sha256');
  for (const embedding of real) digest.update(embedding);
  const file = join(tmpdir(), `ridgewatch-strangers-${digest.digest('hex').slice(0, 16)}-${count}.i8`);
  if (!existsSync(file)) {
    const people = real.map((embedding) => ({ embedding, isSearched: false }));
    const made = drawStrangers(people, count, quantised);
    writeFileSync(`${file}.part`, made);
    renameSync(`${file}.part`, file);
  }
  const bytes = readFileSync(file);
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
