import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referencesAt } from '../../src/gallery/catalogue.ts';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { isBefore } from '../../src/gallery/subject-filter.ts';
import type { SearchTicket } from '../../src/gallery/reclamation.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { named } from '../named-scope.ts';

const SIZING = { capacity: 3, maxRecordBytes: 64, scratchBytes: 256, vectorBytes: 0 };

function emptyGallery(): Gallery {
  return new Gallery({ finger: SIZING, face: () => SIZING });
}

function finger(referenceId: string, fill = 7, position: 1 | 2 = 1): SearchableReference {
  return { referenceId, partition: { modality: 'finger', position }, packed: new Uint8Array(48).fill(fill) };
}

/** Subject ids that a search starting now would find. */
function found(gallery: Gallery, underWay?: SearchTicket): string[] {
  const ticket = underWay ?? gallery.beginSearch(0);
  const subjects = Array.from({ length: gallery.ordinalEnd }, (_, ordinal) => gallery.subjectWithOrdinal(ordinal));
  const ids = subjects.flatMap((subject) =>
    subject === undefined || !isBefore(ticket.instantMs, subject.attributes.searchedUntilMs)
      ? []
      : referencesAt(subject, ticket.version)
          .filter(({ segment, index }) => segment.addressOf(index) !== 0)
          .map(() => subject.subjectId),
  );
  if (underWay === undefined) gallery.endSearch(ticket);
  return ids.sort();
}

describe('the gallery', () => {
  it('makes a subject searchable and removes it again', () => {
    const gallery = emptyGallery();
    gallery.apply(1, {
      kind: 'upsert',
      subjectId: 'a',
      attributes: subjectAttributes(),
      references: [finger('r1'), finger('r2', 8, 2)],
    });
    gallery.apply(2, { kind: 'upsert', subjectId: 'b', attributes: subjectAttributes(), references: [finger('r3')] });
    expect(found(gallery)).toEqual(['a', 'a', 'b']);
    gallery.apply(3, { kind: 'expunge', subjectId: 'a' });
    expect(found(gallery)).toEqual(['b']);
    expect(gallery.version).toBe(3);
    expect(gallery.gallerySizes).toEqual([['main', 1]]);
  });

  it('rejects a change out of order', () => {
    const gallery = emptyGallery();
    expect(() => gallery.apply(2, { kind: 'expunge', subjectId: 'a' })).toThrow(RangeError);
    expect(gallery.version).toBe(0);
  });

  it('opens another segment when one is full', () => {
    const gallery = emptyGallery();
    for (let i = 1; i <= 7; i++) {
      gallery.apply(i, {
        kind: 'upsert',
        subjectId: `s${i}`,
        attributes: subjectAttributes(),
        references: [finger(`r${i}`)],
      });
    }
    expect(gallery.partitions[0]?.segmentCount).toBe(3);
    expect(found(gallery)).toHaveLength(7);
  });

  it('keeps replaced references for searches that started before, and drops them afterwards', () => {
    const gallery = emptyGallery();
    gallery.apply(1, { kind: 'upsert', subjectId: 'a', attributes: subjectAttributes(), references: [finger('old')] });
    const location = gallery.subject('a')?.references[0];
    const before = gallery.beginSearch(0);
    gallery.apply(2, {
      kind: 'upsert',
      subjectId: 'a',
      attributes: subjectAttributes({ version: 2 }),
      references: [finger('new')],
    });
    const after = gallery.beginSearch(0);
    const subject = gallery.subject('a');
    const seenBy = ({ version }: { version: number }) =>
      subject && referencesAt(subject, version).map(({ referenceId }) => referenceId);
    expect(seenBy(before)).toContain(location?.referenceId);
    expect(seenBy(after)).toEqual(['new']);
    expect(location?.segment.addressOf(location.index)).toBeGreaterThan(0);
    gallery.endSearch(before);
    expect(location?.segment.addressOf(location.index)).toBe(0);
    gallery.endSearch(after);
    expect(found(gallery)).toEqual(['a']);
  });

  it('hides an expunged subject from running searches at once, and wipes its bytes when they have ended', () => {
    const gallery = emptyGallery();
    gallery.apply(1, { kind: 'upsert', subjectId: 'a', attributes: subjectAttributes(), references: [finger('r', 9)] });
    const location = gallery.subject('a')?.references[0];
    if (location === undefined) throw new Error('no reference');
    const address = location.segment.addressOf(location.index);
    const bytes = () => [...new Uint8Array(location.segment.handle.memory.buffer, address, 48)];
    const ticket = gallery.beginSearch(0);
    gallery.apply(2, { kind: 'expunge', subjectId: 'a' });
    expect(found(gallery, ticket)).toEqual([]);
    expect(location.segment.addressOf(location.index)).toBe(0);
    expect(bytes()).toEqual(Array.from({ length: 48 }, () => 9));
    gallery.endSearch(ticket);
    expect(bytes()).toEqual(Array.from({ length: 48 }, () => 0));
  });

  it('wipes the candidate vector of an expunged subject, too', () => {
    const sizing = { ...SIZING, vectorBytes: 16 };
    const gallery = new Gallery({ finger: sizing, face: () => sizing });
    const packed = new Uint8Array(64).fill(7).fill(9, 48);
    const upsert = (sequence: number, subjectId: string) =>
      gallery.apply(sequence, {
        kind: 'upsert',
        subjectId,
        attributes: subjectAttributes(),
        references: [{ ...finger(subjectId), packed }],
      });
    upsert(1, 'a');
    upsert(2, 'b');
    const [{ segment }] = gallery.partitions[0].ranges();
    const { memory, layout } = segment.handle;
    const vectors = () => [...new Uint8Array(memory.buffer, layout.vectorsAddress, 32)];
    expect(vectors()).toEqual(Array<number>(32).fill(9));
    gallery.apply(3, { kind: 'expunge', subjectId: 'a' });
    expect(vectors()).toEqual([...Array<number>(16).fill(0), ...Array<number>(16).fill(9)]);
    // The record does not contain its vector a second time.
    expect([...new Uint8Array(memory.buffer, segment.addressOf(1), 48)]).toEqual(Array<number>(48).fill(7));
  });

  it('reuses an ordinal only when no search can still mean its former subject', () => {
    const gallery = emptyGallery();
    const enrol = (sequence: number, subjectId: string) => {
      gallery.apply(sequence, {
        kind: 'upsert',
        subjectId,
        attributes: subjectAttributes(),
        references: [finger(subjectId)],
      });
      return gallery.subject(subjectId)?.ordinal;
    };
    expect([enrol(1, 'a'), enrol(2, 'b')]).toEqual([0, 1]);
    const search = gallery.beginSearch(0);
    gallery.apply(3, { kind: 'expunge', subjectId: 'a' });
    expect(gallery.subjectWithOrdinal(0)).toBeUndefined();
    expect(enrol(4, 'c')).toBe(2);
    gallery.endSearch(search);
    expect(enrol(5, 'd')).toBe(0);
    expect(gallery.subjectWithOrdinal(0)?.subjectId).toBe('d');
    const scopes = gallery.filterAt(named(['main', 'nobody']), 0)?.scopes ?? [];
    expect(scopes).toHaveLength(1);
    expect([...new Uint8Array(scopes[0], 0, 4)]).toEqual([1, 1, 1, 0]);
  });

  it('does not move references when only the data of a subject changes', () => {
    const gallery = emptyGallery();
    gallery.apply(1, { kind: 'upsert', subjectId: 'a', attributes: subjectAttributes(), references: [finger('r')] });
    const before = gallery.subject('a')?.references;
    const references = [{ ...finger('r'), packed: undefined }];
    gallery.apply(2, {
      kind: 'upsert',
      subjectId: 'a',
      attributes: subjectAttributes({ galleries: new Set(['other']) }),
      references,
    });
    expect(gallery.subject('a')?.references).toEqual(before);
    expect(gallery.gallerySizes).toEqual([
      ['main', 0],
      ['other', 1],
    ]);
  });

  it('finds a subject before its expiry and not after it, whatever the clock said in between', () => {
    const gallery = emptyGallery();
    gallery.apply(1, {
      kind: 'upsert',
      subjectId: 'a',
      attributes: subjectAttributes({ searchedUntilMs: 1000 }),
      references: [finger('r1')],
    });
    gallery.apply(2, {
      kind: 'upsert',
      subjectId: 'b',
      attributes: subjectAttributes({ searchedUntilMs: 500 }),
      references: [finger('r2')],
    });
    gallery.apply(3, {
      kind: 'upsert',
      subjectId: 'a',
      attributes: subjectAttributes({ searchedUntilMs: 3000 }),
      references: [finger('r1')],
    });
    const at = (instant: number) => ({
      found: found(gallery, gallery.beginSearch(instant)),
      counted: gallery.subjectsInScope(named(['main']), instant),
    });
    expect(at(499)).toEqual({ found: ['a', 'b'], counted: 2 });
    expect(at(500)).toEqual({ found: ['a'], counted: 1 });
    expect(at(2999)).toEqual({ found: ['a'], counted: 1 });
    expect(at(3000)).toEqual({ found: [], counted: 0 });
    // The clock had been wrong.
    expect(at(499)).toEqual({ found: ['a', 'b'], counted: 2 });
  });

  it('agrees with a plain map after any sequence of changes', () => {
    const change = fc.record({
      subject: fc.integer({ min: 0, max: 5 }),
      references: fc.option(fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }), { nil: undefined }),
      gallery: fc.constantFrom('x', 'y'),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const gallery = emptyGallery();
        const model = new Map<string, { count: number; gallery: string }>();
        changes.forEach(({ subject, references, gallery: name }, i) => {
          const subjectId = `s${subject}`;
          if (references === undefined) {
            gallery.apply(i + 1, { kind: 'expunge', subjectId });
            model.delete(subjectId);
          } else {
            const searchable = references.map((r) => finger(`${subjectId}-${r}`, r));
            gallery.apply(i + 1, {
              kind: 'upsert',
              subjectId,
              attributes: subjectAttributes({ galleries: new Set([name]) }),
              references: searchable,
            });
            model.set(subjectId, { count: references.length, gallery: name });
          }
        });
        expect(found(gallery)).toEqual(
          [...model].flatMap(([id, { count }]) => Array.from({ length: count }, () => id)).sort(),
        );
        for (const name of ['x', 'y']) {
          const expected = [...model.values()].filter((subject) => subject.gallery === name).length;
          expect(gallery.subjectsInScope(named([name]))).toBe(expected);
        }
        expect(gallery.subjectsInScope(named(['x', 'y']))).toBe(model.size);
        expect(gallery.partitions.reduce((sum, { liveCount }) => sum + liveCount, 0)).toBe(found(gallery).length);
      }),
    );
  });
});
