/** Enrols the people of mated searches. */
import type { Gallery } from '../../src/gallery/gallery.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { faceOf, packedFingersOf, type Samples } from '../people/sought-people.ts';
import { enrol, type Part } from './synthetic-gallery.ts';

/** Parts that a gallery needs for such probes. */
export function partsFor({ fingers, face }: Samples): Part[] {
  return [...(fingers > 0 ? (['fingers'] as const) : []), ...(face ? (['faces'] as const) : [])];
}

/** Enrols the people of mated searches, under the names m0, m1, … with enrolment captures. */
export function enrolPeople(gallery: Gallery, people: number, parts: readonly Part[]): void {
  const encoder = new ReferenceEncoder();
  for (let person = 0; person < people; person++) {
    const fingers = parts.includes('fingers') ? packedFingersOf(person, 0, undefined, encoder) : [];
    const face = parts.includes('faces') ? packFace(faceOf(person, 0)) : undefined;
    enrol(gallery, `m${person}`, fingers, face);
  }
}
