import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { FirstFaces } from '../../src/matching/search/first-faces.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const DIMENSION = 16;
const NAME = { modality: 'face', modelId: 'm', dimension: DIMENSION } as const;
const OTHERS = [
  { ...NAME, modelId: 'n' },
  { modality: 'finger', position: 2 },
] as const;
const SEGMENT = { capacity: 8, maxRecordBytes: 64, scratchBytes: 256, vectorBytes: 0 };

interface Step {
  readonly subject: number;
  /** Numbers of its faces, each unique to it; undefined: expunged. */
  readonly faces: readonly number[] | undefined;
}

const anyStep: fc.Arbitrary<Step> = fc.record({
  subject: fc.nat(30),
  faces: fc.option(fc.uniqueArray(fc.nat(5), { maxLength: 4 }), { nil: undefined }),
});

function referencesOf({ subject, faces }: Step): SearchableReference[] {
  const others = OTHERS.map((partition) => {
    return { referenceId: `${subject} ${partition.modality}`, partition, packed: new Uint8Array(DIMENSION) };
  });
  const own = (faces ?? []).map((face) => {
    const packed = new Uint8Array(DIMENSION).fill(subject).fill(face, 8);
    return { referenceId: `${subject} ${face}`, partition: NAME, packed };
  });
  return [...others, ...own];
}

it('the first faces are those of the first subjects by id, whatever changes led to them', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120 }), fc.integer({ min: 1, max: 20 }), (steps, limit) => {
      const gallery = new Gallery({ finger: SEGMENT, face: () => SEGMENT });
      const present = new Map<string, Step>();
      for (const step of steps) {
        const subjectId = `s${step.subject}`;
        if (step.faces === undefined) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId });
        else {
          const [attributes, references] = [subjectAttributes({}), referencesOf(step)];
          gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId, attributes, references });
        }
        if (step.faces === undefined) present.delete(subjectId);
        else present.set(subjectId, step);
      }
      const expected = [...present.entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, { subject, faces = [] }]) => faces.map((face) => [subject, face]))
        .slice(0, limit);
      const first = new FirstFaces(gallery, NAME, limit);
      Array.from(first.look());
      const read = first.read();
      expect(read).toHaveLength(expected.length * DIMENSION);
      const found = Array.from(expected, (_, i) => [read[i * DIMENSION], read[(i + 1) * DIMENSION - 1]]);
      expect(found).toEqual(expected);
    }),
  );
});
