/** Synthetic people who are searched for: none of those in the galleries, of training or of calibration. */
import { FACE_DIMENSION } from '../../fixtures/face.ts';
import { createPerson } from '../../fixtures/person.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { decodeFloat32Embedding } from '../../src/templates/face-embedding.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';
import { enrol, FACE_MODEL, type Part } from '../gallery/synthetic-gallery.ts';

const POSITIONS = [2, 7] as const;

/** What a probe has. */
export interface Samples {
  /** 0 to 2. */
  readonly fingers: number;
  readonly face: boolean;
  /** Of the fingers: 1 ordinary, above 2 bad; undefined: drawn for each. */
  readonly difficulty?: number | undefined;
}

/** What galleries have to have for them. */
export function partsFor({ fingers, face }: Samples): Part[] {
  return [...(fingers > 0 ? (['fingers'] as const) : []), ...(face ? (['faces'] as const) : [])];
}

/** The template of an embedding of the synthetic model. */
export function faceTemplate(embedding: Float32Array): FaceTemplate {
  const bytes = new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength);
  return decodeFloat32Embedding(bytes, { modelId: FACE_MODEL, dimension: FACE_DIMENSION, quality: 0 });
}

/** Enrols people who are sought later, under the names m0, m1, … Enrolments are done with care. */
export function enrolPeople(gallery: Gallery, people: number, parts: readonly Part[]): void {
  const encoder = new ReferenceEncoder();
  for (let person = 0; person < people; person++) {
    const fingers = parts.includes('fingers')
      ? POSITIONS.map((position) => encoder.encode(finger(person, position, 0)))
      : [];
    const face = parts.includes('faces') ? packFace(faceOf(person, 0)) : undefined;
    enrol(gallery, `m${person}`, fingers, face);
  }
}

/** The probes of another capture of a person. */
export function probesOf(pool: WorkerPool, person: number, samples: Samples): Promise<Probe[]> {
  const fingers = POSITIONS.slice(0, samples.fingers).map((position) =>
    finger(person, position, 1, samples.difficulty),
  );
  const templates = [...fingers, ...(samples.face ? [faceOf(person, 1)] : [])];
  return prepareProbes(
    pool,
    templates.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template })),
  );
}

/** A capture of a person's two fingers; 0: the enrolment. */
export function packedFingersOf(person: number, capture: number, difficulty?: number): (Uint8Array | undefined)[] {
  const encoder = new ReferenceEncoder();
  return POSITIONS.map((position) => encoder.encode(finger(person, position, capture, difficulty)));
}

function finger(person: number, position: 2 | 7, impression: number, difficulty?: number): FingerTemplate {
  const record = createPerson(SEEDS.probes, person).fingerImpression(position, impression, difficulty);
  return toFingerTemplate(record, record.views[0]);
}

/** A capture of a person's face; 0: the enrolment. */
export function faceOf(person: number, capture: number): FaceTemplate {
  return faceTemplate(createPerson(SEEDS.probes, person).faceEmbedding(capture));
}
