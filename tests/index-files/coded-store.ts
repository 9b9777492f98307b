/** A store with enough faces of one model that they are coded, and too few of another. */
import { createHash } from 'node:crypto';
import type { Store } from '../../src/store/store.ts';
import { gallerySizing, INDEX_SHAPE } from '../../src/matching/workers/gallery-sizing.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import { random } from '../prints.ts';
import { enrolment, reference } from '../store/records.ts';

export const DIMENSION = 256;
export const CODED = { modality: 'face', modelId: 'many', dimension: DIMENSION } as const;
export const FEW = { ...CODED, modelId: 'few' } as const;
export const PEOPLE = 700;
export const MIN_FACES = 600;
/** Smallest partition that gets a graph. */
export const MIN_REFERENCES = 60;
/** Several segments, and several blocks in each. */
export const SHAPE = { ...INDEX_SHAPE, capacity: 256, blockSize: 100 };
export const SIZING = gallerySizing(SHAPE.capacity);

/** Embeddings of one person are similar; their mean is not 0. */
export function face(person: number, capture: number): FaceTemplate {
  const [own, noise] = [random(person + 1), random(person * 1000 + capture + 7)];
  const values = Int8Array.from({ length: DIMENSION }, () => Math.round(6 + 70 * (own() - 0.5) + 25 * (noise() - 0.5)));
  return { modality: 'face', modelId: CODED.modelId, dimension: DIMENSION, quality: 0, values };
}

/** Enrols people, every fifth with two faces. @returns their subject ids, which are in no order */
export async function enrolFaces(store: Store, first: number, count: number): Promise<string[]> {
  const made = Array.from({ length: count }, (_, i) => {
    const person = first + i;
    const faces = person % 5 === 0 ? [face(person, 0), face(person, 1)] : [face(person, 0)];
    const references = faces.map(({ values, modelId }) => faceRecord(values, modelId));
    if (person % 40 === 0) references.push(faceRecord(face(person, 2).values, FEW.modelId));
    return { ...enrolment({ subjectId: idOf(person) }), references };
  });
  const outcomes = await store.subjects.enrollMany(made);
  if (outcomes.some((outcome) => 'failure' in outcome)) throw new Error('a subject was refused');
  return made.map(({ subject }) => subject.subjectId);
}

/** The same in every run, so that graphs are the same, and in no order. */
function idOf(person: number): string {
  const digest = createHash('sha256').update(String(person)).digest('hex');
  return [8, 4, 4, 4, 12].map((length, i) => digest.slice(10 * i, 10 * i + length)).join('-');
}

function faceRecord(values: Int8Array, modelId: string) {
  return reference({
    modality: 'face',
    fingerPosition: 0,
    format: 'face-embedding-int8',
    storedFormat: 'face-values-int8',
    minutiaCount: 0,
    modelId,
    dimension: DIMENSION,
    template: new Uint8Array(values.buffer),
  });
}
