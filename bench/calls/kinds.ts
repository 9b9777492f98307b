/** Kinds of calls and their probes. */
import type { Random } from '../../src/random.ts';
import { Modality, TemplateFormat, type Sample } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { demoPerson, demoSamples } from '../../src/service/demo-gallery.ts';

export const KINDS = ['two fingers', 'one finger', 'ten fingers', 'face', 'enrolment'] as const;
export type Kind = (typeof KINDS)[number];
/** Shares of the calls; the sum is 1. */
export type Mix = Readonly<Partial<Record<Kind, number>>>;

export const ONLY_TWO_FINGERS: Mix = { 'two fingers': 1 };
/** A border: mostly two fingers, sometimes more or fewer samples, and a growing watchlist. */
export const BORDER: Mix = { 'two fingers': 0.55, 'one finger': 0.1, 'ten fingers': 0.05, face: 0.2, enrolment: 0.1 };

export interface Probe {
  readonly kind: Kind;
  /** Whether the person is enrolled. */
  readonly mated: boolean;
  readonly samples: Sample[];
}

const PER_KIND = 30;
const POSITIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;

/** Probes made beforehand: making them would delay the sending. Every other one is of an enrolled person. */
export function makeProbes(mix: Mix, subjects: number, random: Random): Map<Kind, Probe[]> {
  return new Map(
    KINDS.filter((kind) => (mix[kind] ?? 0) > 0).map((kind) => [
      kind,
      Array.from({ length: kind === 'ten fingers' ? PER_KIND / 3 : PER_KIND * 2 }, (_, i) => {
        const mated = i % 2 === 0 && kind !== 'enrolment';
        const person = mated ? random.below(subjects) : subjects + random.below(1_000_000);
        return { kind, mated, samples: samplesOf(kind, person) };
      }),
    ]),
  );
}

/** Draws the kind of a call. */
export function draw(mix: Mix, random: Random): Kind {
  let rest = random.uniform();
  for (const kind of KINDS) {
    rest -= mix[kind] ?? 0;
    if (rest < 0) return kind;
  }
  return 'two fingers';
}

function samplesOf(kind: Kind, person: number): Sample[] {
  if (kind === 'ten fingers') return POSITIONS.map((position) => fingerOf(person, position));
  const all = demoSamples(demoPerson(person), kind === 'enrolment' ? 0 : 1);
  if (kind === 'face') return all.filter(({ modality }) => modality === Modality.FACE);
  const fingers = all.filter(({ modality }) => modality === Modality.FINGER);
  return kind === 'one finger' ? fingers.slice(0, 1) : fingers;
}

function fingerOf(person: number, position: (typeof POSITIONS)[number]): Sample {
  return {
    modality: Modality.FINGER,
    format: TemplateFormat.ISO_19794_2_2005,
    data: Buffer.from(demoPerson(person).fingerRecord(position, 1)),
    fingerPosition: 0,
    quality: 0,
    modelId: '',
    dimension: 0,
    captureTime: undefined,
  };
}
