/** People with two records and a probe each: three captures of two fingers and a face. */
import { createPerson } from '../../fixtures/person.ts';
import type { PartitionName } from '../../src/gallery/catalogue.ts';
import type { SearchableReference } from '../../src/gallery/gallery.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { prepareProbes, type Probe, type SampleTemplate } from '../../src/matching/search/probe.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerTemplate } from '../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { faceTemplate } from '../people/synthetic-face.ts';

export const RECORDS_OF_A_PERSON = 2;
/** The capture that probes are made of; those before are enrolled. */
const PROBE_CAPTURE = RECORDS_OF_A_PERSON;
const POSITIONS = [2, 7] as const;

/** The samples of a search. */
export const KINDS = ['finger', 'fingers', 'face', 'all'] as const;
export type Kind = (typeof KINDS)[number];

export interface SoughtPerson {
  /** By record: what is enrolled. */
  readonly references: readonly (readonly SearchableReference[])[];
  readonly samples: Readonly<Record<Kind, readonly SampleTemplate[]>>;
  readonly probes: Readonly<Record<Kind, readonly Probe[]>>;
}

export async function soughtPerson(pool: WorkerPool, seed: number, person: number): Promise<SoughtPerson> {
  const { fingers, face } = capture(seed, person, PROBE_CAPTURE);
  const samplesOf = (templates: readonly (FingerTemplate | FaceTemplate)[]) =>
    templates.map((template, sampleIndex) => ({ sampleIndex, viewIndex: 0, template }));
  const samples = {
    finger: samplesOf(fingers.slice(0, 1)),
    fingers: samplesOf(fingers),
    face: samplesOf([face]),
    all: samplesOf([...fingers, face]),
  };
  const probesOf = async (kind: Kind) => [kind, await prepareProbes(pool, samples[kind])] as const;
  const probes = Object.fromEntries(await Promise.all(KINDS.map(probesOf))) as Record<Kind, Probe[]>;
  const records = Array.from({ length: RECORDS_OF_A_PERSON }, (_, record) => record);
  return { references: records.map((record) => enrolled(seed, person, record)), samples, probes };
}

const encoder = new ReferenceEncoder();

function enrolled(seed: number, person: number, record: number): SearchableReference[] {
  const { fingers, face } = capture(seed, person, record);
  const { modelId, dimension } = face;
  const reference = (partition: PartitionName, packed: Uint8Array | undefined) => {
    const referenceId = `p${person}-${record}-${partition.modality === 'finger' ? partition.position : 'face'}`;
    return { referenceId, partition, packed };
  };
  return [
    ...fingers.map((finger) => reference({ modality: 'finger', position: finger.position }, encoder.encode(finger))),
    reference({ modality: 'face', modelId, dimension }, packFace(face)),
  ];
}

function capture(seed: number, index: number, number: number) {
  const person = createPerson(seed, index);
  const fingers = POSITIONS.map((position) => {
    const record = person.fingerImpression(position, number);
    return toFingerTemplate(record, record.views[0]);
  });
  return { fingers, face: faceTemplate(person.faceEmbedding(number)) };
}
