import { beforeAll, describe, expect, it } from 'vitest';
import { Gallery } from '../../src/gallery/gallery.ts';
import { SPECTRUM_FACES } from '../../src/matching/search/face-learning.ts';
import { FaceSpectra } from '../../src/matching/search/face-spectra.ts';
import { Random } from '../../src/random.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const DIMENSION = 144;
const NAME = { modality: 'face', modelId: 'm', dimension: DIMENSION } as const;

/** Components that vary less and less, as along the directions of a model. */
function faceOf(person: number): Int8Array {
  const random = new Random(person);
  return Int8Array.from({ length: DIMENSION }, (_, k) => Math.round((random.normal() * 60) / Math.sqrt(1 + k / 8)));
}

/** @param order - people in the order of their enrolment */
function galleryOf(order: readonly number[], provenanceOf: (person: number) => 'controlled' | 'synthetic'): Gallery {
  const gallery = new Gallery(gallerySizing(4096));
  for (const person of order) {
    const subjectId = String(person).padStart(6, '0');
    gallery.apply(gallery.version + 1, {
      kind: 'upsert',
      subjectId,
      attributes: subjectAttributes({ provenance: provenanceOf(person) }),
      references: [{ referenceId: subjectId, partition: NAME, packed: new Uint8Array(faceOf(person).buffer) }],
    });
  }
  return gallery;
}

const people = (count: number) => Array.from({ length: count }, (_, person) => person);
const real = () => 'controlled' as const;
/** All of it lies where faces hardly differ. */
const unlike = new Random(99);
const odd = Int8Array.from({ length: DIMENSION }, (_, k) => (k < 100 ? 0 : Math.round(unlike.normal() * 30)));
const probe = (values: Int8Array) => ({ modelId: 'm', dimension: DIMENSION, values });

async function learned(gallery: Gallery) {
  const told: number[] = [];
  const errors: unknown[] = [];
  const spectra = new FaceSpectra(
    { current: gallery },
    (_, faces) => told.push(faces),
    (error) => errors.push(error),
  );
  await spectra.run();
  expect(errors).toEqual([]);
  return { spectra, told };
}

describe('the spectra of face models', () => {
  let whole: FaceSpectra;

  beforeAll(async () => {
    ({ spectra: whole } = await learned(galleryOf(people(SPECTRUM_FACES + 500), real)));
  });

  it('admit the faces of other people, and not what lies unlike them', () => {
    expect(whole.learnedFrom(NAME)).toBe(SPECTRUM_FACES);
    for (let person = 10_000; person < 10_500; person++) expect(whole.admits(probe(faceOf(person)))).toBe(true);
    expect(whole.admits(probe(odd))).toBe(false);
    // Another model, and another dimension, have their own.
    expect(whole.admits({ ...probe(odd), modelId: 'n' })).toBe(true);
    expect(whole.learnedFrom({ ...NAME, dimension: 160 })).toBe(0);
  });

  it('are the same for the same first subjects, whatever the order of enrolment and whichever follow', async () => {
    const { spectra } = await learned(galleryOf(people(SPECTRUM_FACES + 50).reverse(), real));
    const random = new Random(7);
    const mixed = Array.from({ length: 400 }, () => {
      const [share, face] = [random.uniform(), faceOf(random.below(20_000))];
      return probe(face.map((value, k) => Math.round(share * value + (1 - share) * odd[k])));
    });
    const answers = mixed.map((one) => whole.admits(one));
    expect(new Set(answers)).toEqual(new Set([true, false]));
    expect(mixed.map((one) => spectra.admits(one))).toEqual(answers);
  });

  it('need enough faces of people: synthetic records do not count', async () => {
    const few = await learned(galleryOf(people(SPECTRUM_FACES - 1), real));
    const half = await learned(
      galleryOf(people(SPECTRUM_FACES + 500), (n) => (n % 2 === 0 ? 'synthetic' : 'controlled')),
    );
    for (const { spectra, told } of [few, half]) {
      expect(told).toEqual([]);
      expect(spectra.learnedFrom(NAME)).toBe(0);
      expect(spectra.admits(probe(odd))).toBe(true);
    }
  });

  it('stop at once, and then learn nothing', async () => {
    const told: number[] = [];
    const spectra = new FaceSpectra(
      { current: galleryOf(people(SPECTRUM_FACES), real) },
      (_, faces) => told.push(faces),
      (error) => expect.unreachable(String(error)),
    );
    const running = spectra.run();
    await spectra.stop();
    await running;
    expect(told).toEqual([]);
    expect(spectra.learnedFrom(NAME)).toBe(0);
  });
});
