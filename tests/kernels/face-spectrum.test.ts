import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { facesOfPeople, quantised } from '../../bench/people/real-faces.ts';
import { createPerson } from '../../fixtures/person.ts';
import {
  canLearnSpectrum,
  isInSpectrum,
  learnFaceSpectrum,
  type FaceSpectrum,
} from '../../src/matching/kernels/face-spectrum.ts';
import { learnPrincipalDirections } from '../../src/matching/kernels/principal-directions.ts';
import { wornFace } from '../../src/matching/tuning/worn-face.ts';
import { Random } from '../../src/random.ts';
import { sharedData } from '../shared-data.ts';

const DIMENSION = 512;
const FACES = 3200;
let random: Random;
const synthetic = (person: number, capture = 0) => quantised(createPerson(0x5bec, person).faceEmbedding(capture));

let enrolled: Int8Array[];
let spectrum: FaceSpectrum;

beforeAll(() => {
  enrolled = Array.from({ length: FACES }, (_, person) => synthetic(person));
  spectrum = learnFaceSpectrum(joined(enrolled), DIMENSION);
});

beforeEach(() => {
  random = new Random(11);
});

function joined(faces: readonly Int8Array[]): Int8Array {
  const rows = new Int8Array(faces.length * DIMENSION);
  faces.forEach((face, i) => rows.set(face, i * DIMENSION));
  return rows;
}

function sum(faces: readonly Int8Array[], weights: readonly number[]): Int8Array {
  const mixed = new Float32Array(DIMENSION);
  faces.forEach((face, i) => face.forEach((value, k) => (mixed[k] += weights[i] * value)));
  return quantised(mixed);
}

const refused = (probes: readonly Int8Array[], by = spectrum) =>
  probes.filter((probe) => !isInSpectrum(by, probe)).length;
const drawn = (from: readonly Int8Array[]) => from[random.below(from.length)];

describe('the spectrum of the enrolled faces of a model', () => {
  it('accepts other people, other captures, worn probes, and interpolations', () => {
    const others = Array.from({ length: 1000 }, (_, i) => synthetic(10_000 + i, i % 3));
    const captures = Array.from({ length: 500 }, (_, i) => synthetic(i, 1));
    const worn = Array.from({ length: 500 }, () =>
      wornFace(
        drawn(enrolled),
        Array.from({ length: 16 }, () => drawn(enrolled)),
        random,
      ),
    );
    const between = Array.from({ length: 500 }, () => {
      const share = random.uniform();
      return sum([drawn(others), drawn(others)], [share, 1 - share]);
    });
    expect([others, captures, worn, between].map((probes) => refused(probes))).toEqual([0, 0, 0, 0]);
  });

  it('refuses random numbers', () => {
    const gaussian = Array.from({ length: 500 }, () =>
      quantised(Float32Array.from({ length: DIMENSION }, () => random.normal())),
    );
    expect(refused(gaussian)).toBe(500);
  });

  it('refuses principal directions of the gallery, and sums of few of them', () => {
    const row = (k: number) => spectrum.directions.subarray(k * DIMENSION, (k + 1) * DIMENSION);
    const single = Array.from({ length: 128 }, (_, k) => quantised(row(k).slice()));
    expect(refused(single)).toBe(128);
    const eight = Array.from({ length: 300 }, () => {
      const mixed = new Float32Array(DIMENSION);
      for (let i = 0; i < 8; i++) {
        const k = random.below(128);
        const weight = random.normal() / spectrum.inverse[k];
        row(k).forEach((value, c) => (mixed[c] += weight * value));
      }
      return quantised(mixed);
    });
    expect(refused(eight)).toBeGreaterThanOrEqual(298);
  });

  it('is learned only from enough faces of enough components', () => {
    expect(canLearnSpectrum(DIMENSION, FACES)).toBe(true);
    expect(canLearnSpectrum(DIMENSION, 2999)).toBe(false);
    expect(canLearnSpectrum(128, FACES)).toBe(false);
    expect(() => learnFaceSpectrum(joined(enrolled.slice(0, 2999)), DIMENSION)).toThrow(RangeError);
  });

  it.skipIf(sharedData === undefined)('learned on real people accepts those who are most unlike them', () => {
    const { people } = facesOfPeople(join(sharedData ?? '', 'lfw-embeddings'));
    const images = people.map((own) => own.map(quantised));
    // Of the first eight directions the fifth is that along which one face needs the widest limits.
    const { directions } = learnPrincipalDirections(joined(images.flat()), DIMENSION, 5);
    const along = directions.subarray(4 * DIMENSION);
    const placeOf = (face: Int8Array) => face.reduce((product, value, k) => product + value * along[k], 0);
    const ordered = images
      .map((own) => [own.reduce((total, face) => total + placeOf(face), 0) / own.length, own] as const)
      .sort(([a], [b]) => a - b)
      .flatMap(([, own]) => own);
    for (const faces of [ordered, ordered.toReversed()]) {
      const real = learnFaceSpectrum(joined(faces.slice(0, 3000)), DIMENSION);
      expect(refused(faces.slice(3000), real)).toBe(0);
    }
  });

  it.skipIf(sharedData === undefined)('learned on half of the real people accepts the other half', () => {
    const { people } = facesOfPeople(join(sharedData ?? '', 'lfw-embeddings'));
    const images = people.map((own) => own.map(quantised));
    const halves = [images.filter((_, i) => i % 2 === 0).flat(), images.filter((_, i) => i % 2 === 1).flat()];
    const shuffled = (faces: readonly Int8Array[]) =>
      faces.map((face) => [random.uniform(), face] as const).sort(([a], [b]) => a - b);
    for (const [learned, tested] of [halves, [halves[1], halves[0]]]) {
      // A half may be a few faces short of the number that is needed: the others are interpolated.
      const faces = shuffled(learned).map(([, face]) => face);
      while (faces.length < 3000) faces.push(sum([drawn(learned), drawn(learned)], [0.5, 0.5]));
      const real = learnFaceSpectrum(joined(faces), DIMENSION);
      expect(refused(tested, real)).toBe(0);
      expect(refused(enrolled, real)).toBe(FACES);
    }
  });
});
