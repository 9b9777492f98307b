import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { facesOfPeople, quantised } from '../../bench/people/real-faces.ts';
import { createPerson } from '../../fixtures/person.ts';
import { Random } from '../../src/random.ts';
import { isPlausibleFace, requirePlausibleFace } from '../../src/templates/face-plausibility.ts';
import { sharedData } from '../shared-data.ts';

const DIMENSIONS = [64, 128, 256, 512, 1024, 2048];
const dimension = fc.constantFrom(...DIMENSIONS);
const seed = fc.nat();

/** An embedding of any dimension, quantised as on arrival. */
function stored(components: readonly number[]): Int8Array {
  const norm = Math.hypot(...components);
  const scale = (127 * Math.sqrt(components.length)) / 4.5 / norm;
  return Int8Array.from(components, (value) => Math.max(-127, Math.min(127, Math.round(value * scale))));
}

const normals = (count: number, random: Random) => Array.from({ length: count }, () => random.normal());

describe('the plausibility of an embedding without knowledge of its model', () => {
  it('refuses one or few components, alone or with small noise in the others', () => {
    fc.assert(
      fc.property(dimension, seed, fc.double({ min: 0, max: 0.02, noNaN: true }), (d, given, noise) => {
        const random = new Random(given);
        const components = normals(d, random).map((value) => value * noise);
        const few = 1 + random.below(d / 16);
        for (let k = 0; k < few; k++) components[random.below(d)] += random.normal() + 3;
        expect(isPlausibleFace(stored(components))).toBe(false);
      }),
    );
  });

  it('refuses few values: signs, steps, constants, half of the components zero', () => {
    fc.assert(
      fc.property(dimension, seed, fc.integer({ min: 1, max: 6 }), (d, given, levels) => {
        const random = new Random(given);
        const coarse = normals(d, random).map(
          (value) => Math.sign(value) * Math.ceil(Math.min(levels, Math.abs(value) * 2)),
        );
        expect(isPlausibleFace(stored(coarse))).toBe(false);
        expect(isPlausibleFace(stored(normals(d, random).map((value) => 8 + value)))).toBe(false);
        expect(isPlausibleFace(stored(normals(d, random).map((value, k) => (k % 2 === 0 ? value : 0))))).toBe(false);
      }),
    );
    expect(isPlausibleFace(new Int8Array(512))).toBe(false);
    expect(isPlausibleFace(new Int8Array(512).fill(28))).toBe(false);
  });

  it('refuses ramps and waves', () => {
    for (const d of DIMENSIONS) {
      for (let cycles = 0.5; cycles <= d / 16; cycles *= 2) {
        const wave = Array.from({ length: d }, (_, k) => Math.sin((2 * Math.PI * cycles * k) / d) + 0.01 * (k % 7));
        expect(isPlausibleFace(stored(wave)), `${cycles} waves in ${d}`).toBe(false);
      }
      expect(isPlausibleFace(stored(Array.from({ length: d }, (_, k) => k - d / 3)))).toBe(false);
    }
  });

  it('accepts what independent sources make, in every dimension', () => {
    fc.assert(
      fc.property(dimension, seed, (d, given) => {
        const random = new Random(given);
        expect(isPlausibleFace(stored(normals(d, random)))).toBe(true);
        expect(isPlausibleFace(stored(normals(d, random).map(Math.abs)))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('accepts synthetic faces', () => {
    for (let person = 0; person < 300; person++) {
      const values = quantised(createPerson(0xfacade, person).faceEmbedding(person % 3));
      expect(isPlausibleFace(values)).toBe(true);
    }
  });

  it('names the field, and not how far off the sample is', () => {
    const values = new Int8Array(512);
    values[7] = 127;
    const face = { modality: 'face', modelId: 'm', dimension: 512, quality: 0, values } as const;
    expect(() => requirePlausibleFace(face)).toThrow(
      expect.objectContaining({ kind: 'invalid-argument', reason: 'SAMPLE_IMPLAUSIBLE', detail: { field: 'data' } }),
    );
    expect(() => requirePlausibleFace(face)).toThrow(/^No face model makes an embedding like this one\.$/);
  });

  it.skipIf(sharedData === undefined)('accepts every real face, and interpolations between them', () => {
    const { people } = facesOfPeople(join(sharedData ?? '', 'lfw-embeddings'));
    const faces = people.flat();
    expect(faces.filter((face) => !isPlausibleFace(quantised(face)))).toHaveLength(0);
    const random = new Random(5);
    for (let i = 0; i < 2000; i++) {
      const [a, b] = [faces[random.below(faces.length)], faces[random.below(faces.length)]];
      const share = random.uniform();
      expect(isPlausibleFace(quantised(a.map((value, k) => share * value + (1 - share) * b[k])))).toBe(true);
    }
  });
});
