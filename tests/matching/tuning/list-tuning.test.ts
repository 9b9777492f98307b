import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Gallery, type SearchableReference } from '../../../src/gallery/gallery.ts';
import { FaceCoding } from '../../../src/matching/search/face-coding.ts';
import { identify } from '../../../src/matching/search/identification.ts';
import { IndexedScan } from '../../../src/matching/search/indexed-scan.ts';
import { fixedShares } from '../../../src/matching/search/list-sizes.ts';
import { packTemplates, prepareProbes } from '../../../src/matching/search/probe.ts';
import { ListTuning, type ListFigures, type ListTuningOptions } from '../../../src/matching/tuning/list-tuning.ts';
import { gallerySizing } from '../../../src/matching/workers/gallery-sizing.ts';
import { LIST_KINDS } from '../../../src/matching/workers/list-lengths.ts';
import { WorkerPool } from '../../../src/matching/workers/worker-pool.ts';
import { random, secondImpression, somePrint } from '../../prints.ts';
import { subjectAttributes } from '../../subject-attributes.ts';
import { EVERYTHING } from '../../../src/gallery/scope.ts';

const PEOPLE = 700;
const DIMENSION = 272;

let pool: WorkerPool;
/** For each person: two fingers and a face, of the length that embeddings have. */
let enrolled: SearchableReference[][];

beforeAll(async () => {
  pool = new WorkerPool(2);
  const prints = Array.from({ length: 2 * PEOPLE }, (_, i) => somePrint(i, 34));
  const packed = await packTemplates(pool, prints);
  enrolled = Array.from({ length: PEOPLE }, (_, person) => {
    const next = random(person + 1);
    const face = Uint8Array.from({ length: DIMENSION }, () => Math.round(98 * (next() - 0.5)));
    return [
      { referenceId: `a${person}`, partition: { modality: 'finger', position: 2 }, packed: packed[2 * person] },
      { referenceId: `b${person}`, partition: { modality: 'finger', position: 7 }, packed: packed[2 * person + 1] },
      { referenceId: `c${person}`, partition: { modality: 'face', modelId: 'm', dimension: DIMENSION }, packed: face },
    ];
  });
});
afterAll(() => pool.close());
beforeEach(() => pool.lengths.clear());

/** @param references - of each person, from the first finger on */
function galleryOf(people: readonly number[], references = 1): Gallery {
  const gallery = new Gallery(gallerySizing(1000));
  for (const person of people) gallery.load(`p${person}`, subjectAttributes(), enrolled[person].slice(0, references));
  gallery.startAt(1);
  return gallery;
}

const everyone = Array.from({ length: PEOPLE }, (_, person) => person);

function tuningOf(served: { current: Gallery }, changes: Partial<ListTuningOptions> = {}) {
  const measured: ListFigures[] = [];
  const tuning = new ListTuning({
    targetHitRate: 0.95,
    targetFpir: 0.01,
    served,
    pool,
    idle: () => Promise.resolve(),
    onMeasured: (figures) => measured.push(figures),
    onError: (error) => {
      throw error;
    },
    minSubjects: 500,
    ...changes,
  });
  return { tuning, measured };
}

const figuresOf = (tuning: ListTuning, kind: ListFigures['kind']) => tuning.figures.find((one) => one.kind === kind);

describe('lists of indexed searches', () => {
  it('have measured lengths once these have been measured, and searches use them', async () => {
    const gallery = galleryOf(everyone);
    const template = { ...secondImpression(somePrint(8, 34), 3, 5, 0.5), position: 2 as const };
    const probes = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template }]);
    const source = new IndexedScan(pool, { min: 1, perCandidate: 1, share: 0.5, ranked: 1.5 });
    const request = {
      probes,
      scope: EVERYTHING,
      maxCandidates: 1,
      threshold: { maxLog10Fmr: 0 },
      standardFpir: 0.01,
    };
    const search = () => identify(gallery, () => source, pool, request, new AbortController().signal);
    expect((await search()).penetration).toBeGreaterThan(0.4);

    const { tuning, measured } = tuningOf({ current: gallery });
    expect(figuresOf(tuning, 'finger')).toMatchObject({ state: 'fixed', shares: fixedShares('finger'), trials: 0 });
    const running = tuning.run();
    expect(tuning.run()).toBe(running);
    await running;
    const figures = figuresOf(tuning, 'finger');
    expect(figures).toMatchObject({ state: 'measured', subjects: PEOPLE, trials: 400, isReached: true });
    expect(measured).toEqual([figures]);
    expect(pool.lengths.of('finger')).toEqual(figures?.shares);
    const { candidates, penetration } = await search();
    expect(candidates[0]?.subject.subjectId).toBe('p4');
    expect(penetration).toBeLessThan(0.1);
    // Nobody has two fingers or a face.
    expect(measured.map(({ kind }) => kind)).toEqual(['finger']);
    expect(figuresOf(tuning, 'fingers')).toMatchObject({ state: 'fixed', trials: 0 });
    await gallery.presentSearchesEnded();
  });

  it('are not shortened for a finger of unknown position, which has more references before its mate', async () => {
    const gallery = galleryOf(everyone, 2);
    const comparedWith = async (...positions: (0 | 2 | 7)[]) => {
      const samples = positions.map((position, sampleIndex) => {
        const template = { ...secondImpression(somePrint(8 + sampleIndex, 34), 3, 5, 0.5), position };
        return { sampleIndex, viewIndex: 0, template };
      });
      const probes = await prepareProbes(pool, samples);
      const source = new IndexedScan(pool, { min: 1, perCandidate: 1, share: 0.3, ranked: 1.5 });
      const threshold = { maxLog10Fmr: 0 };
      const request = { probes, scope: EVERYTHING, maxCandidates: 1, threshold, standardFpir: 0.01 };
      const { signal } = new AbortController();
      return (await identify(gallery, () => source, pool, request, signal)).penetration;
    };
    for (const kind of ['finger', 'fingers'] as const) pool.lengths.set(kind, { ranked: 0.01, compared: 0.01 });
    expect(await comparedWith(2)).toBeLessThan(0.1);
    expect(await comparedWith(2, 7)).toBeLessThan(0.1);
    expect(await comparedWith(0)).toBeGreaterThan(0.2);
    expect(await comparedWith(2, 0)).toBeGreaterThan(0.2);
    // Where the measured ones are longer, they apply.
    pool.lengths.set('finger', { ranked: 0.9, compared: 0.6 });
    expect(await comparedWith(0)).toBeGreaterThan(0.5);
  });

  it('have the same lengths in every gallery of the same subjects', async () => {
    const one = tuningOf({ current: galleryOf(everyone, 2) });
    await one.tuning.run();
    expect(one.measured.map(({ kind }) => kind)).toEqual(['finger', 'fingers']);
    // Other ordinals and other segments.
    const other = galleryOf([], 2);
    for (const person of everyone.toReversed())
      other.load(`p${person}`, subjectAttributes(), enrolled[person].slice(0, 2));
    const again = tuningOf({ current: other });
    await again.tuning.run();
    expect(again.measured).toEqual(one.measured);
  });

  it('are measured for faces once these are coded, and for fingers with a face', async () => {
    const served = { current: galleryOf(everyone, 3) };
    const { tuning, measured } = tuningOf(served);
    await tuning.run();
    expect(measured.map(({ kind }) => kind)).toEqual(['finger', 'fingers']);
    const coding = new FaceCoding(served, pool, (error) => expect.fail(String(error)), 600);
    await coding.run();
    await tuning.run();
    expect(measured.map(({ kind }) => kind)).toEqual([...LIST_KINDS]);
    for (const { trials, hits } of measured) {
      expect(trials).toBe(400);
      expect(hits).toBeGreaterThan(380);
    }
  });

  it('are measured again when the gallery has doubled, and not before', async () => {
    const gallery = galleryOf(everyone.slice(0, 350));
    const { tuning, measured } = tuningOf({ current: gallery }, { minSubjects: 300 });
    // Too few of 350: some probes find no mate even in an exact search, and 400 are needed.
    await tuning.run();
    expect(figuresOf(tuning, 'finger')).toMatchObject({ state: 'fixed', trials: 0 });
    const enrol = (people: readonly number[]) => {
      for (const person of people)
        gallery.apply(gallery.version + 1, {
          kind: 'upsert',
          subjectId: `p${person}`,
          attributes: subjectAttributes(),
          references: enrolled[person].slice(0, 1),
        });
    };
    enrol(everyone.slice(350, 699));
    await tuning.run();
    expect(measured).toEqual([]);
    enrol(everyone.slice(699));
    await tuning.run();
    expect(measured).toMatchObject([{ kind: 'finger', subjects: 700 }]);
  });

  it('are fixed again when the gallery has doubled and too few of its references tell anything', async () => {
    const gallery = galleryOf(everyone);
    const { tuning, measured } = tuningOf({ current: gallery });
    await tuning.run();
    expect(pool.lengths.of('finger')).toBeDefined();
    const poor = await packTemplates(
      pool,
      Array.from({ length: 8 * PEOPLE }, (_, i) => somePrint(5000 + i, 8)),
    );
    poor.forEach((packed, i) => {
      const references = [{ referenceId: `d${i}`, partition: { modality: 'finger', position: 2 } as const, packed }];
      const change = { kind: 'upsert', subjectId: `d${i}`, attributes: subjectAttributes(), references } as const;
      gallery.apply(gallery.version + 1, change);
    });
    await tuning.run();
    expect(measured).toHaveLength(1);
    expect(figuresOf(tuning, 'finger')).toMatchObject({ state: 'fixed', shares: fixedShares('finger') });
    expect(pool.lengths.of('finger')).toBeUndefined();
  });

  it('are fixed again after a switch to another gallery, until that was measured', async () => {
    const served = { current: galleryOf(everyone) };
    const { tuning, measured } = tuningOf(served);
    await tuning.run();
    expect(pool.lengths.of('finger')).toBeDefined();
    served.current = galleryOf(everyone.slice(0, 20));
    await tuning.run();
    expect(pool.lengths.of('finger')).toBeUndefined();
    expect(figuresOf(tuning, 'finger')).toMatchObject({ state: 'fixed', shares: fixedShares('finger'), trials: 0 });
    served.current = galleryOf(everyone.slice(50));
    await tuning.run();
    expect(measured).toMatchObject([{ subjects: 700 }, { subjects: 650 }]);
    expect(pool.lengths.of('finger')).toEqual(measured[1].shares);
  });

  it('are not taken from a gallery that was replaced meanwhile', async () => {
    const [first, second] = [galleryOf(everyone), galleryOf(everyone.slice(0, 20))];
    const served = { current: first };
    let turns = 0;
    const { tuning, measured } = tuningOf(served, {
      idle: () => {
        if (++turns === 30) served.current = second;
        return Promise.resolve();
      },
    });
    await tuning.run();
    expect(turns).toBe(30);
    expect(measured).toEqual([]);
    expect(pool.lengths.of('finger')).toBeUndefined();
    await first.presentSearchesEnded();
  });

  it('are not measured while searches are running, and a stop ends the wait', async () => {
    const begun = Promise.withResolvers<undefined>();
    const { tuning, measured } = tuningOf(
      { current: galleryOf(everyone) },
      {
        idle: () => {
          begun.resolve(undefined);
          return new Promise(() => undefined);
        },
      },
    );
    const running = tuning.run();
    await begun.promise;
    expect(figuresOf(tuning, 'finger')?.state).toBe('measuring');
    await tuning.stop();
    await running;
    expect(measured).toEqual([]);
    expect(figuresOf(tuning, 'finger')?.state).toBe('fixed');
  });

  it('do not wait for an idle moment once the gallery was replaced, and do not keep it in memory', async () => {
    const served = { current: galleryOf(everyone) };
    const begun = Promise.withResolvers<undefined>();
    const idle = () => {
      begun.resolve(undefined);
      return new Promise<void>(() => undefined);
    };
    const { tuning, measured } = tuningOf(served, { idle });
    const running = tuning.run();
    await begun.promise;
    expect(tuning.run()).toBe(running);
    served.current = galleryOf(everyone.slice(0, 20));
    await tuning.run();
    await running;
    await tuning.run();
    expect(figuresOf(tuning, 'finger')?.state).toBe('fixed');
    expect(measured).toEqual([]);
  });

  it('are given up at a stop, and not begun again', async () => {
    const gallery = galleryOf(everyone);
    let stopped: Promise<void> | undefined;
    let turns = 0;
    const { tuning, measured } = tuningOf(
      { current: gallery },
      {
        idle: () => {
          if (++turns === 20) stopped = tuning.stop();
          return Promise.resolve();
        },
      },
    );
    await tuning.run();
    await stopped;
    await tuning.run();
    expect(turns).toBe(20);
    expect(measured).toEqual([]);
    expect(pool.lengths.of('finger')).toBeUndefined();
    await gallery.presentSearchesEnded();
  });

  it('leave out subjects that are expunged while they are measured', async () => {
    const gallery = galleryOf(everyone);
    let next = 0;
    const { tuning, measured } = tuningOf(
      { current: gallery },
      {
        idle: () => {
          if (next < 200) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${next++}` });
          return Promise.resolve();
        },
      },
    );
    await tuning.run();
    expect(next).toBe(200);
    expect(measured).toMatchObject([{ kind: 'finger', trials: 400 }]);
  });

  it('stay fixed after a failure, which is reported, and not tried again at once', async () => {
    const errors: unknown[] = [];
    const { tuning, measured } = tuningOf(
      { current: galleryOf(everyone) },
      {
        idle: () => Promise.reject(new Error('broken')),
        onError: (error) => errors.push(error),
      },
    );
    await tuning.run();
    await tuning.run();
    expect(errors).toEqual([new Error('broken')]);
    expect(measured).toEqual([]);
  });
});
