import { createPerson, type SyntheticPerson } from '../../fixtures/person.ts';
import { Failure } from '../failure.ts';
import { prepareEnrolment, type EnrolmentDependencies } from '../enrolment/enrolment.ts';
import { Provenance, type EnrollRequest } from '../contract/generated/ridgewatch/v1/gallery.ts';
import { Modality, TemplateFormat, type Sample } from '../contract/generated/ridgewatch/v1/sample.ts';
import { UNLIMITED } from '../store/records.ts';

/** Seed of the demo gallery. All its subjects are synthetic. */
export const DEMO_SEED = 2005;
/** Name of the demo gallery. */
export const DEMO_GALLERY = 'demo';
/** Contributor of its records. */
export const DEMO_CONTRIBUTOR = 'demo';
/** The model id of the synthetic embeddings. */
export const DEMO_FACE_MODEL = 'synthetic-512';
const DEMO_FACE_DIMENSION = 512;
/** Right and left index finger, which a border usually captures. */
export const DEMO_POSITIONS = [2, 7] as const;

/** The contributor's key of demo subject `index`. */
export function demoExternalId(index: number): string {
  return `demo-${index}`;
}

/** The synthetic person of demo subject `index`. Indices beyond the gallery's size give people who are not enrolled. */
export function demoPerson(index: number): SyntheticPerson {
  return createPerson(DEMO_SEED, index);
}

/** The samples of one encounter: both index fingers and the face. Capture 0 is the enrolment. */
export function demoSamples(person: SyntheticPerson, capture: number): Sample[] {
  const fingers = DEMO_POSITIONS.map((position) =>
    sample({
      modality: Modality.FINGER,
      format: TemplateFormat.ISO_19794_2_2005,
      data: Buffer.from(person.fingerRecord(position, capture)),
    }),
  );
  const embedding = person.faceEmbedding(capture);
  const face = sample({
    modality: Modality.FACE,
    format: TemplateFormat.FACE_EMBEDDING_FLOAT32,
    data: littleEndian(embedding),
    modelId: DEMO_FACE_MODEL,
    dimension: DEMO_FACE_DIMENSION,
  });
  return [...fingers, face];
}

/**
 * Enrols the demo gallery in one transaction: a killed start leaves no part of it.
 * @param signal - ends it: nothing else that it needs would be missing before its last step
 * @param onProgress - called with the number of people made so far
 * @throws the signal's reason
 */
export async function loadDemoGallery(
  service: EnrolmentDependencies,
  subjects: number,
  signal: AbortSignal,
  onProgress: (people: number) => void,
): Promise<void> {
  const prepared = [];
  for (let index = 0; index < subjects; index++) {
    signal.throwIfAborted();
    prepared.push(await prepareEnrolment(service, demoRequest(index)));
    if ((index + 1) % 100 === 0) onProgress(index + 1);
  }
  const outcomes = await service.store.enrollMany(prepared);
  const sequences = outcomes.map((outcome) => {
    if ('failure' in outcome) throw outcome.failure;
    return outcome.seq;
  });
  if (sequences.length === 0) throw new Failure('internal', 'DEMO_EMPTY', 'The demo gallery came out empty.');
  await service.follower.advanceTo(Math.max(...sequences), new Map(prepared.flatMap(({ packed }) => [...packed])));
}

function demoRequest(index: number): EnrollRequest {
  return {
    data: {
      contributor: DEMO_CONTRIBUTOR,
      externalId: demoExternalId(index),
      galleries: [DEMO_GALLERY],
      caveats: [],
      provenance: Provenance.SYNTHETIC,
      ...UNLIMITED,
    },
    samples: demoSamples(demoPerson(index), 0),
    clientRequestId: demoExternalId(index),
  };
}

function sample(known: Pick<Sample, 'modality' | 'format' | 'data'> & Partial<Sample>): Sample {
  return { fingerPosition: 0, quality: 0, modelId: '', dimension: 0, captureTime: undefined, ...known };
}

function littleEndian(values: Float32Array): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
  return bytes;
}
