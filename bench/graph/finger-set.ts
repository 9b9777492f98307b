/** Candidate vectors of synthetic people: one or two fingers each. */
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { vectorOf } from '../../src/matching/kernels/similarity.ts';
import { VECTOR_SIZE } from '../../src/matching/model/finger-vector-model.ts';
import { fingersOf } from '../gallery/synthetic-gallery.ts';
import { packedFingersOf } from '../people/sought-people.ts';
import { roomFor, type VectorSet } from './vector-set.ts';

/** Probes by the difficulty of their prints; undefined: drawn for each. */
const KINDS = [
  { kind: 'ordinary prints', difficulty: undefined },
  { kind: 'bad prints', difficulty: 2.2 },
] as const;

/**
 * @param fingers - of each subject: 1 or 2
 * @param mates - subjects with a probe of each kind
 */
export async function fingerVectors(
  fingers: 1 | 2,
  subjects: number,
  mates: number,
  threads: number,
): Promise<VectorSet> {
  const positions = Array.from({ length: fingers }, () => roomFor(subjects, VECTOR_SIZE));
  const enter = (row: number, packed: readonly (Uint8Array | undefined)[]) => {
    positions.forEach((rows, p) => rows.set(vectorOrNone(packed[p]), row * VECTOR_SIZE));
  };
  const encoder = new ReferenceEncoder();
  for (let person = 0; person < mates; person++) enter(person, packedFingersOf(person, 0, undefined, encoder));
  let row = mates;
  for await (const packed of fingersOf(subjects - mates, threads)) enter(row++, packed);
  const kinds = KINDS.map(({ kind, difficulty }) => ({
    kind,
    probes: Array.from({ length: mates }, (_, person) => {
      const packed = packedFingersOf(person, 1, difficulty, encoder);
      return packed.slice(0, fingers).map((finger) => Int8Array.from(vectorOrNone(finger)));
    }),
  }));
  const each = fingers === 1 ? 'a right index finger' : 'two index fingers';
  return {
    description: `${subjects} synthetic people, ${each}; ${mates} are searched with another capture, and with a bad one`,
    dimension: VECTOR_SIZE,
    subjects,
    positions,
    kinds,
  };
}

/** A finger without enough minutiae is similar to none. */
function vectorOrNone(packed: Uint8Array | undefined): Int8Array {
  return packed === undefined || packed.length === 0 ? new Int8Array(VECTOR_SIZE) : vectorOf(packed);
}
