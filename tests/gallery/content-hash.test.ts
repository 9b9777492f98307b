import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contentHash } from '../../src/gallery/content-hash.ts';
import { Gallery, type GalleryChange } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const SUBJECTS = 12;
const VECTOR_BYTES = 256;

const step = fc.record({
  subject: fc.nat(SUBJECTS - 1),
  kind: fc.constantFrom('upsert', 'upsert', 'expunge'),
  content: fc.nat(3),
  gallery: fc.constantFrom('a', 'b'),
});
type Step = (typeof step extends fc.Arbitrary<infer T> ? T : never) & object;

function changeOf({ subject, kind, content, gallery }: Step): GalleryChange {
  const subjectId = `s${subject}`;
  if (kind === 'expunge') return { kind: 'expunge', subjectId };
  const packed = new Uint8Array(16 + VECTOR_BYTES).fill(subject * 8 + content + 1);
  return {
    kind: 'upsert',
    subjectId,
    attributes: { ...subjectAttributes(), galleries: new Set([gallery]) },
    references: [{ referenceId: `${subjectId}-${content}`, partition: { modality: 'finger', position: 2 }, packed }],
  };
}

/** The content of a gallery after some steps, as a map. */
function modelOf(steps: readonly Step[]): Map<number, string> {
  const model = new Map<number, string>();
  for (const { subject, kind, content, gallery } of steps) {
    if (kind === 'expunge') model.delete(subject);
    else model.set(subject, `${content} ${gallery}`);
  }
  return model;
}

function filled(steps: readonly Step[]): Gallery {
  const gallery = new Gallery(gallerySizing(5));
  for (const one of steps) gallery.apply(gallery.version + 1, changeOf(one));
  return gallery;
}

const hashOf = async (gallery: Gallery) => (await contentHash(gallery, { of: 'test' })).hash;

describe('the hash of a gallery', () => {
  it('depends on the content only, whatever led to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.array(step, { maxLength: 40 }), async (one, other) => {
        const [a, b] = [filled(one), filled(other)];
        const same = (steps: readonly Step[]) => JSON.stringify([...modelOf(steps)].sort(([x], [y]) => x - y));
        if (same(one) === same(other)) expect(await hashOf(a)).toBe(await hashOf(b));
        else expect(await hashOf(a)).not.toBe(await hashOf(b));
        // Built in as few steps as possible, and compacted.
        const last = new Map(one.map((each) => [each.subject, each]));
        const direct = filled([...last.values()].filter(({ kind }) => kind === 'upsert').reverse());
        expect(await hashOf(direct)).toBe(await hashOf(a));
        await new Compactor({ current: a }, (error) => expect.fail(String(error)), 0).run();
        expect(await hashOf(a)).toBe(await hashOf(direct));
      }),
      { numRuns: 100 },
    );
  });

  it('belongs to one version, even when the gallery changes meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.array(step, { maxLength: 20 }), async (before, during) => {
        const gallery = filled(before);
        const hashing = contentHash(gallery, { of: 'test' }, { sliceMs: 0 });
        for (const one of during) {
          gallery.apply(gallery.version + 1, changeOf(one));
          await new Promise((resolve) => setImmediate(resolve));
        }
        const { version, hash, subjects } = await hashing;
        const steps = [...before, ...during].slice(0, version);
        expect(hash).toBe(await hashOf(filled(steps)));
        expect(subjects).toBe(modelOf(steps).size);
      }),
      { numRuns: 100 },
    );
  });

  it('is abandoned when no caller waits for it', async () => {
    const gallery = filled(
      Array.from({ length: SUBJECTS }, (_, subject) => ({ subject, kind: 'upsert', content: 0, gallery: 'a' })),
    );
    const asker = new AbortController();
    let read = 0;
    const subjectAt = gallery.subjectWithOrdinal.bind(gallery);
    gallery.subjectWithOrdinal = (ordinal) => {
      if (++read === 3) asker.abort(new Error('gone'));
      return subjectAt(ordinal);
    };
    const hashing = contentHash(gallery, {}, { sliceMs: 0, signal: asker.signal });
    await expect(hashing).rejects.toThrow('gone');
    expect(read).toBe(3);
  });
});
