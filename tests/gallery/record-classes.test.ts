/** Record classes, the masks over them, and what is counted by them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import type { PartitionName, SubjectAttributes } from '../../src/gallery/catalogue.ts';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import { MAX_CLASSES, MAX_CLASSES_PER_CONTRIBUTOR, RecordClasses } from '../../src/gallery/record-classes.ts';
import { clearMasked, SubjectMask } from '../../src/gallery/subject-filter.ts';
import { subjectAttributes } from '../subject-attributes.ts';

const SIZING = { capacity: 50, maxRecordBytes: 64, scratchBytes: 64, vectorBytes: 0 };
const PARTITIONS: readonly PartitionName[] = [
  { modality: 'finger', position: 2 },
  { modality: 'face', modelId: 'm', dimension: 64 },
  { modality: 'face', modelId: 'm', dimension: 128 },
];

function put(gallery: Gallery, subjectId: string, changes: Partial<SubjectAttributes>, partitions = PARTITIONS): void {
  const references = partitions.map((partition) => {
    return { referenceId: `${subjectId}-${PARTITIONS.indexOf(partition)}`, partition, packed: new Uint8Array(48) };
  });
  const attributes = subjectAttributes(changes);
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId, attributes, references });
}

const expunge = (gallery: Gallery, subjectId: string) =>
  gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId });

const served = () => new ActiveGallery({ finger: SIZING, face: () => SIZING }, () => 10);
const plain = { contributor: 'a', caveats: [], provenance: 'field' } as const;

describe('record classes', () => {
  it('are the distinct combinations of contributor, caveats as a set, and provenance', () => {
    const classes = new RecordClasses();
    const first = classes.classOf({ ...plain, caveats: ['Y', 'X', 'Y'] });
    expect(first).toEqual({ id: 0, contributor: 'a', caveats: ['X', 'Y'], provenance: 'field' });
    expect(classes.classOf({ ...plain, caveats: ['X', 'Y'] })).toBe(first);
    const others = [
      plain,
      { ...plain, caveats: ['X'] },
      { ...plain, caveats: ['XY'] },
      { ...plain, caveats: ['X","Y'] },
      { ...plain, contributor: 'b', caveats: ['X', 'Y'] },
      { ...plain, provenance: 'latent', caveats: ['X', 'Y'] } as const,
    ].map((attributes) => classes.classOf(attributes));
    expect(new Set([first, ...others]).size).toBe(7);
    expect(others.map(({ id }) => classes.get(id))).toEqual(others);
    expect([classes.count, classes.end]).toEqual([7, 7]);
    expect(classes.all).toEqual([first, ...others]);
  });

  it('have room for as many as each contributor, and all, may have; known ones always fit', () => {
    const classes = new RecordClasses();
    const nth = (contributor: string, n: number) => ({ ...plain, contributor, caveats: [`C${n}`] });
    for (let n = 0; n < MAX_CLASSES_PER_CONTRIBUTOR; n++) {
      expect(classes.fits(nth('a', n))).toBe(true);
      classes.retain(classes.classOf(nth('a', n)));
    }
    expect(classes.fits(nth('a', MAX_CLASSES_PER_CONTRIBUTOR))).toBe(false);
    expect(classes.fits(nth('a', 7))).toBe(true);
    expect(classes.fits(nth('b', 0))).toBe(true);
    // What is stored is loaded, and can be searched.
    const beyond = classes.classOf(nth('a', MAX_CLASSES_PER_CONTRIBUTOR));
    classes.retain(beyond);
    expect(classes.get(beyond.id)).toBe(beyond);
    classes.release(beyond);
    expect(classes.get(beyond.id)).toBeUndefined();
    expect(classes.fits(nth('a', MAX_CLASSES_PER_CONTRIBUTOR))).toBe(false);
    classes.release(classes.classOf(nth('a', 7)));
    expect(classes.fits(nth('a', MAX_CLASSES_PER_CONTRIBUTOR))).toBe(true);
    for (let n = classes.count; n < MAX_CLASSES; n++) classes.retain(classes.classOf(nth(`c${n % 50}`, n)));
    expect(classes.fits(nth('b', 0))).toBe(false);
    expect(classes.fits(nth('c49', 19_999))).toBe(true);
  });

  it('are dropped with their last subject, when no search can mean them any more, and not before', () => {
    const all = served();
    const { current, classes } = all;
    put(current, 's', { contributor: 'a' });
    const search = current.beginSearch(0);
    const second = all.makeEmpty();
    second.load('s', subjectAttributes({ contributor: 'a' }), []);
    second.load('t', subjectAttributes({ contributor: 'b' }), []);
    put(current, 's', { contributor: 'c' });
    put(current, 's', { contributor: 'a' });
    expunge(current, 's');
    expect(classes.all.map(({ contributor }) => contributor)).toEqual(['a', 'b', 'c']);
    current.endSearch(search);
    // The other gallery still has one of them.
    expect(classes.all.map(({ contributor }) => contributor)).toEqual(['a', 'b']);
    second.hide('s');
    expect(classes.all.map(({ contributor }) => contributor)).toEqual(['b']);
    second.close();
    expect(classes.count).toBe(0);
    put(current, 'u', { contributor: 'd' });
    // Ids are used again.
    expect(classes.end).toBe(3);
  });
});

describe('a mask of record classes', () => {
  it('decides once about each class, also when an id is used again, and shares the answers', async () => {
    const classes = new RecordClasses();
    const asked: string[] = [];
    const mask = new ClassMask(classes, ({ contributor }) => {
      asked.push(contributor);
      return contributor !== 'denied';
    });
    const [one, denied] = ['one', 'denied'].map((contributor) => classes.classOf({ ...plain, contributor }));
    classes.retain(one);
    expect([mask.allows(one), mask.allows(denied), mask.allows(one)]).toEqual([true, false, true]);
    await mask.prepare();
    expect(asked).toEqual(['one', 'denied']);
    expect([...new Uint8Array(mask.shared, 0, 3)]).toEqual([1, 0, 0]);
    classes.release(one);
    const again = classes.classOf({ ...plain, contributor: 'denied', caveats: ['X'] });
    expect(again.id).toBe(one.id);
    await mask.prepare();
    expect(mask.allows(again)).toBe(false);
    expect(new Uint8Array(mask.shared)[again.id]).toBe(0);
    expect(asked).toEqual(['one', 'denied', 'denied']);
    expect([mask.isOf(classes), mask.isOf(new RecordClasses())]).toEqual([true, false]);
  });

  it('has room for any number of classes, and a search keeps what it began with', () => {
    const classes = new RecordClasses();
    const mask = new ClassMask(classes, () => true);
    const before = mask.shared;
    let last = classes.classOf(plain);
    for (let n = 0; n < MAX_CLASSES; n++) last = classes.classOf({ ...plain, caveats: [`C${n}`] });
    expect(mask.allows(last)).toBe(true);
    expect(mask.allows(classes.classOf(plain))).toBe(true);
    expect(mask.shared).not.toBe(before);
    expect(new Uint8Array(mask.shared)[last.id]).toBe(1);
    expect(new Uint8Array(before)[last.id]).toBeUndefined();
  });

  it('gives way to other work while it decides, and stops with the search', async () => {
    const classes = new RecordClasses();
    for (let n = 0; n < 50; n++) classes.classOf({ ...plain, caveats: [`C${n}`] });
    let [decisions, turns] = [0, 0];
    const mask = new ClassMask(classes, () => {
      const until = performance.now() + 0.5;
      while (performance.now() < until);
      return ++decisions > 0;
    });
    const ticking = new AbortController();
    const tick = () => void (ticking.signal.aborted || (turns++, setImmediate(tick)));
    setImmediate(tick);
    await mask.prepare();
    ticking.abort();
    expect(decisions).toBe(50);
    expect(turns).toBeGreaterThan(10);
    const reason = new Error('nobody waits');
    const other = new ClassMask(classes, () => true);
    await expect(other.prepare(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('denies where a decision fails, and fails the search that asks, not the change', () => {
    const all = served();
    put(all.current, 's', {});
    const mask = new ClassMask(all.classes, ({ contributor }) => {
      if (contributor === 'b') throw new Error('no policy');
      return true;
    });
    expect(all.current.masks(mask)).toBe(false);
    const search = all.current.beginSearch(0, [mask]);
    put(all.current, 's', { contributor: 'b' });
    all.current.endSearch(search);
    expect(() => all.current.masks(mask)).toThrow('no policy');
    const { id } = all.classes.classOf(subjectAttributes({ contributor: 'b' }));
    expect(new Uint8Array(mask.shared)[id]).toBe(0);
  });
});

describe('a gallery with a mask', () => {
  const drawn = fc.record({
    subject: fc.nat(7),
    isExpunged: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
    contributor: fc.constantFrom('a', 'b', 'c'),
    caveats: fc.subarray(['X', 'Y']),
    galleries: fc.subarray(['x', 'y'], { minLength: 1 }),
    searchedUntilMs: fc.option(fc.nat(20), { nil: undefined }),
    partitions: fc.subarray([...PARTITIONS]),
  });

  it('counts what a plain map counts, after any changes, and filters the same subjects', () => {
    fc.assert(
      fc.property(
        fc.array(drawn, { maxLength: 50 }),
        fc.subarray(['a', 'b', 'c']),
        fc.boolean(),
        fc.subarray(['x', 'y']),
        fc.nat(20),
        (changes, contributors, withCaveats, galleries, instantMs) => {
          const { current: gallery, classes } = served();
          const model = new Map<string, (typeof changes)[number]>();
          for (const one of changes) {
            const subjectId = `s${one.subject}`;
            if (one.isExpunged) {
              expunge(gallery, subjectId);
              model.delete(subjectId);
            } else {
              put(gallery, subjectId, { ...one, galleries: new Set(one.galleries) }, one.partitions);
              model.set(subjectId, one);
            }
          }
          const mask = new ClassMask(
            classes,
            ({ contributor, caveats }) => contributors.includes(contributor) && (withCaveats || caveats.length === 0),
          );
          const may = ({ contributor, caveats }: (typeof changes)[number]) =>
            contributors.includes(contributor) && (withCaveats || caveats.length === 0);
          const isFound = (one: (typeof changes)[number]) =>
            may(one) &&
            (one.searchedUntilMs ?? Infinity) > instantMs &&
            (galleries.length === 0 || one.galleries.some((name) => galleries.includes(name)));
          const all = [...model.values()];
          const scope = { galleries: new Set(galleries), classes: mask };
          expect(gallery.masks(mask)).toBe(!all.every(may));
          expect(gallery.subjectsAllowedBy(mask)).toBe(all.filter(may).length);
          expect(gallery.subjectsInScope(scope, instantMs)).toBe(all.filter(isFound).length);
          for (const partition of PARTITIONS) {
            const count = all.filter((one) => may(one) && one.partitions.includes(partition)).length;
            expect(gallery.referencesAllowedBy(mask, partition)).toBe(count);
          }
          const found = [...model].flatMap(([id, one]) => (isFound(one) ? [id] : [])).sort();
          const listed = gallery.listed(scope, instantMs)?.map(({ subjectId }) => subjectId);
          if (galleries.length > 0) expect(listed?.sort()).toEqual(found);
          const filter = gallery.filterAt(scope, instantMs);
          const owners = Uint32Array.from({ length: gallery.ordinalEnd + 3 }, (_, ordinal) => ordinal);
          const passing = new Int32Array(owners.length).fill(1);
          if (filter !== undefined) new SubjectMask(filter).copyEntries(passing.slice(), owners, passing);
          const idOf = (ordinal: number) => gallery.subjectWithOrdinal(ordinal)?.subjectId;
          expect([...owners].flatMap((ordinal) => (passing[ordinal] > 0 ? (idOf(ordinal) ?? []) : [])).sort()).toEqual(
            found,
          );
          // A scan of codes knows the classes only.
          const values = new Uint8Array(owners.length).fill(9);
          if (filter?.classes !== undefined) clearMasked(values, owners, filter.classes);
          const scanned = [...owners].flatMap((ordinal) => (values[ordinal] > 0 ? (idOf(ordinal) ?? []) : []));
          expect(scanned.sort()).toEqual([...model].flatMap(([id, one]) => (may(one) ? [id] : [])).sort());
        },
      ),
    );
  });

  it('does not count damaged references of masked subjects, as far as their class is known', () => {
    const { current, classes } = served();
    const quarantine = new Quarantine();
    put(current, 's', { contributor: 'a' });
    put(current, 't', { contributor: 'b' });
    for (const subjectId of ['s', 't', 'unreadable'])
      quarantine.set(subjectId, [{ subjectId, referenceId: `${subjectId}-lost`, reason: 'ROW_INVALID' }]);
    const mask = new ClassMask(classes, ({ contributor }) => contributor === 'a');
    const unsearched = (of: ClassMask | undefined) =>
      quarantine.unsearched(current, { galleries: new Set(), classes: of });
    expect([unsearched(undefined), unsearched(mask)]).toEqual([3, 2]);
  });

  it('skips subjects and classes that are newer than the columns of a search', () => {
    const [ids, allowed] = [new SharedArrayBuffer(8), new SharedArrayBuffer(1)];
    new Uint32Array(ids).set([0, 7]);
    new Uint8Array(allowed)[0] = 1;
    const owners = Uint32Array.of(0, 1, 2);
    const out = new Int32Array(3);
    const filter = { scopes: undefined, expiry: undefined, classes: { ids, allowed }, ages: undefined };
    expect(new SubjectMask(filter).copyEntries(Int32Array.of(4, 5, 6), owners, out)).toBe(1);
    expect([...out]).toEqual([4, 0, 0]);
    const values = Uint8Array.of(4, 5, 6);
    clearMasked(values, owners, filter.classes);
    expect([...values]).toEqual([4, 0, 0]);
  });
});
