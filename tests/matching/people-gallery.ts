/** A small gallery of people with two fingers and a face each, and their second captures. */
import { Gallery } from '../../src/gallery/gallery.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import type { SearchRequest } from '../../src/matching/search/identification.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import type { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerPosition, FingerTemplate } from '../../src/templates/finger-template.ts';
import { random, secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { named } from '../named-scope.ts';

const encoder = new ReferenceEncoder();
const print = (person: number, position: FingerPosition): FingerTemplate => ({
  ...somePrint(person * 20 + position, 36),
  position,
});

function face(person: number, capture: number): FaceTemplate {
  const [own, noise] = [random(person), random(person * 1000 + capture)];
  const values = Int8Array.from({ length: 64 }, () => Math.round(95 * (own() - 0.5) + 20 * (noise() - 0.5)));
  return { modality: 'face', modelId: 'm', dimension: 64, quality: 0, values };
}

/** Subject `p<person>`; odd people are in gallery `odd`, all in `all`. */
export function enrol(gallery: Gallery, person: number): void {
  const fingers = ([2, 7] as const).map((position) => ({
    referenceId: `p${person}-${position}`,
    partition: { modality: 'finger' as const, position },
    packed: encoder.encode(print(person, position)),
  }));
  const ofFace = {
    referenceId: `p${person}-face`,
    partition: { modality: 'face', modelId: 'm', dimension: 64 } as const,
    packed: packFace(face(person, 0)),
  };
  const attributes = subjectAttributes({ galleries: new Set(person % 2 === 1 ? ['all', 'odd'] : ['all']) });
  const references = [...fingers, ofFace];
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${person}`, attributes, references });
}

/** Enrols a person again, as another subject, with the very captures that probesOf makes. */
export function enrolCaptures(gallery: Gallery, subjectId: string, probes: readonly Probe[]): void {
  const references = probes.flatMap(({ template, packed }, i) =>
    template.modality === 'finger' && packed !== undefined
      ? [
          {
            referenceId: `${subjectId}-${i}`,
            partition: { modality: 'finger' as const, position: template.position },
            packed: packed.packed,
          },
        ]
      : [],
  );
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId, attributes: subjectAttributes({}), references });
}

export function expunge(gallery: Gallery, person: number): void {
  gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${person}` });
}

/** People 0 to `people` - 1, in segments of 100 references. */
export function galleryOf(people: number): Gallery {
  const gallery = new Gallery(gallerySizing(100));
  for (let person = 0; person < people; person++) enrol(gallery, person);
  return gallery;
}

/** Another capture of a person's samples. */
export function probesOf(pool: WorkerPool, person: number, positions = [2, 7] as const, withFace = false) {
  const fingers = positions.map((position, i) => ({
    sampleIndex: i,
    viewIndex: 0,
    template: secondImpression(print(person, position), person, 10, 0.5),
  }));
  const ofFace = withFace ? [{ sampleIndex: 9, viewIndex: 0, template: face(person, 1) }] : [];
  return prepareProbes(pool, [...fingers, ...ofFace]);
}

export function faceOf(pool: WorkerPool, person: number) {
  return prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template: face(person, 1) }]);
}

export function requestFor(probes: readonly Probe[], galleries: readonly string[] = []): SearchRequest {
  return {
    probes,
    scope: named(galleries),
    maxCandidates: 10,
    threshold: { targetFpir: 0.01 },
    standardFpir: 0.01,
    instantMs: 1000,
  };
}
