/** Synthetic people of probes. They are in no gallery, training or calibration unless a bench enrols them. */
import { createPerson } from '../../fixtures/person.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { SEEDS } from '../harness/seeds.ts';
import { faceTemplate } from './synthetic-face.ts';

const POSITIONS = [2, 7] as const;

/** Samples of a probe. */
export interface Samples {
  /** 0 to 2. */
  readonly fingers: number;
  readonly face: boolean;
  /** Difficulty of the fingers: 1 ordinary, above 2 bad; undefined: drawn for each. */
  readonly difficulty?: number | undefined;
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
export function packedFingersOf(
  person: number,
  capture: number,
  difficulty?: number,
  encoder = new ReferenceEncoder(),
): (Uint8Array | undefined)[] {
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
