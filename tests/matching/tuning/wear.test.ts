import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPerson } from '../../../fixtures/person.ts';
import { ReferenceEncoder } from '../../../src/matching/kernels/reference-encoder.ts';
import { SIMILARITY_OF_ONE, vectorOf } from '../../../src/matching/kernels/similarity.ts';
import { NOISE_PAIRS, wornFace } from '../../../src/matching/tuning/worn-face.ts';
import { wornFinger } from '../../../src/matching/tuning/worn-finger.ts';
import { DirectComparer } from '../../../src/matching/workers/direct-comparison.ts';
import { Random } from '../../../src/random.ts';
import { MAX_MINUTIAE } from '../../../src/templates/finger-template.ts';
import { toFingerTemplate } from '../../../src/templates/normalise.ts';
import { somePrint } from '../../prints.ts';

const encoder = new ReferenceEncoder();
const comparer = new DirectComparer();

function packedPrint(seed: number, count: number): Uint8Array {
  const packed = encoder.encode(somePrint(seed, count));
  if (packed === undefined) throw new Error('too few minutiae');
  return packed;
}

const enrolled = Array.from({ length: 60 }, (_, person) => {
  const record = createPerson(20_261, person).fingerImpression(2, 0);
  const packed = encoder.encode(toFingerTemplate(record, record.views[0]));
  if (packed === undefined) throw new Error('too few minutiae');
  return packed;
});

/** Scores of worn probes with the reference they were made of, or with another. */
function scores(difficulty: number | undefined, shift = 0): number[] {
  return enrolled.map((packed, i) => {
    const worn = encoder.encode(wornFinger(packed, 2, new Random(i), difficulty));
    const reference = { modality: 'finger', packed: enrolled[(i + shift) % enrolled.length] } as const;
    return worn === undefined ? 0 : (comparer.comparePacked({ modality: 'finger', packed: worn }, reference) ?? 0);
  });
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;

describe('a worn finger', () => {
  it('is the same for the same numbers, another for others, and not the reference', () => {
    const [a, b, c] = [1, 1, 2].map((seed) => wornFinger(enrolled[0], 7, new Random(seed)));
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    expect(a.position).toBe(7);
    expect(encoder.encode(a)).not.toEqual(enrolled[0]);
  });

  it('stays a mate: ordinary captures score like those of one finger, bad ones less', () => {
    const [ordinary, bad] = [scores(1), scores(2.2)];
    expect(ordinary.filter((score) => score >= 1100).length).toBeGreaterThanOrEqual(57);
    expect(bad.filter((score) => score >= 1100).length).toBeGreaterThanOrEqual(40);
    expect(mean(bad)).toBeLessThan(mean(ordinary) - 200);
    expect(scores(1, 1).filter((score) => score >= 1100)).toEqual([]);
  });

  it('has a candidate vector as far from its reference as another capture has', () => {
    const cosines = (other: (packed: Uint8Array, i: number) => Uint8Array | undefined) =>
      enrolled.map((packed, i) => {
        const [a, b] = [vectorOf(packed), vectorOf(other(packed, i) ?? packed)];
        return a.reduce((sum, value, k) => sum + value * b[k], 0) / 8 / SIMILARITY_OF_ONE;
      });
    const worn = cosines((packed, i) => encoder.encode(wornFinger(packed, 2, new Random(i), 1)));
    const real = cosines((_, i) => {
      const record = createPerson(20_261, i).fingerImpression(2, 1, 1);
      return encoder.encode(toFingerTemplate(record, record.views[0]));
    });
    expect(Math.abs(mean(worn) - mean(real))).toBeLessThan(0.1);
    expect(mean(worn)).toBeLessThan(0.6);
  });

  it('lacks minutiae of the reference, the more the worse the capture is', () => {
    // Relative to the reference's number; others are added.
    const shown = (difficulty: number) =>
      mean(enrolled.map((packed, i) => wornFinger(packed, 2, new Random(i), difficulty).minutiae.length / packed[0]));
    expect(shown(1)).toBeLessThan(1.15);
    expect(shown(4)).toBeLessThan(0.8);
  });

  it('is graded: most captures are ordinary, some bad', () => {
    const mixed = scores(undefined);
    expect(mean(mixed)).toBeGreaterThan(mean(scores(2.2)));
    expect(Math.min(...mixed)).toBeLessThan(Math.min(...scores(1)));
  });

  it('is a template that can be encoded, whatever the reference', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 5, max: 64 }),
        fc.nat(),
        fc.double({ min: 0, max: 6, noNaN: true }),
        (seed, count, draw, difficulty) => {
          const { minutiae } = wornFinger(packedPrint(seed, count), 0, new Random(draw), difficulty);
          expect(minutiae.length).toBeLessThanOrEqual(MAX_MINUTIAE);
          for (const { x, y, angle, type, quality } of minutiae) {
            for (const value of [x, y, angle, type, quality]) expect(Number.isInteger(value)).toBe(true);
            expect(angle).toBeGreaterThanOrEqual(0);
            expect(angle).toBeLessThan(256);
            expect(Math.max(Math.abs(x), Math.abs(y))).toBeLessThan(2000);
          }
          encoder.encode({ modality: 'finger', position: 0, quality: 0, minutiae });
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('a worn face', () => {
  const embedding = (person: number, capture = 0) => {
    const values = createPerson(20_262, person).faceEmbedding(capture);
    return Int8Array.from(values, (value) =>
      Math.max(-127, Math.min(127, Math.round((value * 127 * Math.sqrt(512)) / 4.5))),
    );
  };
  const faces = Array.from({ length: 120 }, (_, person) => embedding(person));
  const others = (i: number) => Array.from({ length: 2 * NOISE_PAIRS }, (_, k) => faces[(i + k + 1) % faces.length]);
  const cosine = (a: Int8Array, b: Int8Array) => {
    const dot = (x: Int8Array, y: Int8Array) => x.reduce((sum, value, i) => sum + value * y[i], 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const cosines = faces.map((face, i) => cosine(face, wornFace(face, others(i), new Random(i)))).sort((a, b) => a - b);
  const real = faces.map((face, i) => cosine(face, embedding(i, 1))).sort((a, b) => a - b);

  it('is the same for the same numbers and faces, and another for others', () => {
    expect(wornFace(faces[0], others(0), new Random(1))).toEqual(wornFace(faces[0], others(0), new Random(1)));
    expect(wornFace(faces[0], others(0), new Random(2))).not.toEqual(wornFace(faces[0], others(0), new Random(1)));
    expect(wornFace(faces[0], others(3), new Random(1))).not.toEqual(wornFace(faces[0], others(0), new Random(1)));
  });

  it('is as similar to its reference as another capture of the person', () => {
    for (const share of [0.1, 0.25, 0.5, 0.75, 0.9])
      expect(Math.abs(cosines[Math.floor(120 * share)] - real[Math.floor(120 * share)])).toBeLessThan(0.1);
    expect(Math.max(...cosines)).toBeLessThan(0.95);
    const strangers = faces.map((face, i) => cosine(faces[(i + 40) % 120], wornFace(face, others(i), new Random(i))));
    expect(Math.max(...strangers)).toBeLessThan(cosines[12]);
  });

  it('is noise in the directions that faces differ in', () => {
    // Of noise alike in all directions, hardly any would lie in the few that faces fill.
    const differences = faces.slice(60).map((face, i) => face.map((value, k) => value - faces[i][k]));
    const inFaces = (noise: Int8Array) => mean(differences.map((difference) => cosine(difference, noise) ** 2));
    const noise = faces
      .slice(0, 20)
      .map((face, i) => wornFace(face, others(i), new Random(i)).map((value, k) => value - face[k]));
    const random = new Random(9);
    const white = noise.map(() => Int8Array.from({ length: 512 }, () => Math.round(30 * random.normal())));
    expect(mean(noise.map(inFaces))).toBeGreaterThan(1.5 * mean(white.map(inFaces)));
  });

  it('keeps its length, of any reference', () => {
    const any = fc.int8Array({ min: -127, max: 127, minLength: 64, maxLength: 64 });
    fc.assert(
      fc.property(any, fc.array(any, { minLength: 16, maxLength: 16 }), fc.nat(), (face, some, seed) => {
        const worn = wornFace(face, some, new Random(seed));
        expect(worn).toHaveLength(64);
        for (const value of worn) expect(value).toBeGreaterThanOrEqual(-127);
      }),
      { numRuns: 60 },
    );
  });
});
