/** The faces of an attack: enrolled people, one of whom is the target, and the faces that the attacker has. */
import { createPerson } from '../../fixtures/person.ts';
import { canLearnSpectrum, learnFaceSpectrum, type FaceSpectrum } from '../../src/matching/kernels/face-spectrum.ts';
import { Random } from '../../src/random.ts';
import { SEEDS } from '../harness/seeds.ts';
import { facesOfPeople, quantised } from '../people/real-faces.ts';
import { combined, dot, unit, type Vector } from './vectors.ts';

export interface FacesToAttack {
  readonly people: readonly {
    readonly reference: Int8Array;
    /** A face whose cosine with the reference is LOOK_ALIKE. */
    readonly lookAlike: Vector;
  }[];
  /** The attacker's, of people who are not enrolled. */
  readonly own: readonly Vector[];
  /** Undefined: too few faces. */
  readonly spectrum: FaceSpectrum | undefined;
}

/** A rate of about 10⁻³·⁵ by the shipped table: a sibling, or a bad picture of the target. */
const LOOK_ALIKE = 0.38;
const SYNTHETIC = 3200;

/** @param data - undefined: synthetic people */
export function facesToAttack(data: string | undefined, targets: number): FacesToAttack {
  const random = new Random(SEEDS.attacks, -1);
  const { enrolled, own } = data === undefined ? synthetic() : real(data);
  const vectors = own.map((face) => unit(face));
  const people = Array.from({ length: targets }, () => {
    const reference = enrolled[random.below(enrolled.length)];
    return { reference, lookAlike: lookAlikeOf(unit(reference), vectors, random) };
  });
  const [{ length: dimension }] = enrolled;
  const rows = new Int8Array(enrolled.length * dimension);
  enrolled.forEach((face, i) => rows.set(face, i * dimension));
  const spectrum = canLearnSpectrum(dimension, enrolled.length) ? learnFaceSpectrum(rows, dimension) : undefined;
  return { people, own: vectors, spectrum };
}

/** Real faces, split by person: every third person is the attacker's, so that enough are enrolled for a spectrum. */
function real(data: string) {
  const { people } = facesOfPeople(data);
  const faces = (is: (person: number) => boolean) =>
    people.flatMap((own, person) => (is(person) ? own.map(quantised) : []));
  return { enrolled: faces((person) => person % 3 !== 0), own: faces((person) => person % 3 === 0) };
}

function synthetic() {
  const faces = (from: number) =>
    Array.from({ length: SYNTHETIC }, (_, i) => quantised(createPerson(SEEDS.attacks, from + i).faceEmbedding(0)));
  return { enrolled: faces(0), own: faces(SYNTHETIC) };
}

/** The reference with as much of another face as gives the cosine. */
function lookAlikeOf(reference: Vector, others: readonly Vector[], random: Random): Vector {
  const other = others[random.below(others.length)];
  const along = dot(reference, other);
  const rest = unit(combined([other, reference], [1, -along]));
  return combined([reference, rest], [LOOK_ALIKE, Math.sqrt(1 - LOOK_ALIKE ** 2)]);
}
