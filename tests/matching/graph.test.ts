import fc from 'fast-check';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import type { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import { GraphLostError } from '../../src/matching/graph/graph-thread.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import {
  DIMENSION,
  dropReferences,
  enrol,
  expunge,
  faceOf,
  galleryOf,
  graphsFor,
  isCovered,
  nearest,
  nearestNow,
  probeOf,
} from './vector-people.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';

const used: CandidateGraphs[] = [];
afterEach(async () => {
  await Promise.all(used.splice(0).map((graphs) => graphs.stop()));
});

function graphsOf(...parameters: Parameters<typeof graphsFor>): CandidateGraphs {
  const graphs = graphsFor(...parameters);
  used.push(graphs);
  return graphs;
}

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `p${from + i}`).sort();

/** The next thread that is started. */
async function nextThread(): Promise<Worker> {
  const [thread] = (await once(process, 'worker')) as [Worker];
  return thread;
}

describe('the graph of a gallery', () => {
  it('finds almost all of the most similar references', async () => {
    const people = 2500;
    const gallery = galleryOf(people, 4096);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ references: people, pending: 0, state: 'ready', error: undefined }]);
    const centre = new Float64Array(DIMENSION);
    const faces = Array.from({ length: people }, (_, person) => faceOf(person).values);
    for (const face of faces) face.forEach((value, k) => (centre[k] += value / people));
    const moved = (face: Int8Array) => {
      const all = Float64Array.from(face, (value, k) => value - centre[k]);
      const length = Math.hypot(...all);
      return all.map((value) => value / length);
    };
    const rows = faces.map(moved);
    let [found, mates] = [0, 0];
    for (let person = 0; person < 100; person++) {
      const probe = probeOf(person * 25);
      const wanted = moved(faceOf(person * 25, 5).values);
      const similarities = rows.map((row) => row.reduce((sum, value, k) => sum + value * wanted[k], 0));
      const exact = [...similarities.keys()].sort((a, b) => similarities[b] - similarities[a]).slice(0, 10);
      const listed = new Set(await nearestNow(graphs, gallery, probe, 50));
      expect(listed.size).toBeLessThanOrEqual(50);
      found += exact.filter((row) => listed.has(`p${row}`)).length;
      if (listed.has(`p${person * 25}`)) mates++;
    }
    expect(mates).toBe(100);
    expect(found).toBeGreaterThan(980);
  });

  it('covers its gallery once it has caught up, and takes along what was enrolled since', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    expect(isCovered(graphs, gallery)).toBe(false);
    const built = graphs.run();
    expect(isCovered(graphs, gallery)).toBe(false);
    expect(graphs.figures).toMatchObject([{ partition: `face:m:${DIMENSION}`, state: 'building', pending: 300 }]);
    await built;
    expect(isCovered(graphs, gallery)).toBe(true);
    enrol(gallery, 300);
    expect(isCovered(graphs, gallery)).toBe(true);
    expect(await nearestNow(graphs, gallery, probeOf(7), 10)).toEqual(expect.arrayContaining(['p300', 'p7']));
    for (let person = 301; person < 600; person++) enrol(gallery, person);
    expect(isCovered(graphs, gallery)).toBe(false);
    await graphs.run();
    expect(isCovered(graphs, gallery)).toBe(true);
    expect(await nearestNow(graphs, gallery, probeOf(555), 10)).toContain('p555');
  });

  it('that gets no thread is reported, and begun again', async () => {
    const gallery = galleryOf(300);
    const errors: unknown[] = [];
    const graphs = graphsOf({ current: gallery }, { pauseMs: 0 }, (error) => errors.push(error));
    const threads = vi.spyOn(process.getBuiltinModule('node:worker_threads'), 'Worker');
    threads.mockImplementationOnce(function () {
      throw Object.assign(new Error('no thread'), { code: 'ERR_WORKER_INIT_FAILED' });
    });
    await graphs.run();
    threads.mockRestore();
    expect(errors).toMatchObject([{ code: 'ERR_WORKER_INIT_FAILED' }]);
    expect(graphs.figures).toMatchObject([{ state: 'failed', references: 0, pending: 300 }]);
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ state: 'ready', references: 300 }]);
  });

  it('is not built for few references: all are returned', async () => {
    const gallery = galleryOf(256);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    expect(graphs.figures).toEqual([]);
    expect(isCovered(graphs, gallery)).toBe(true);
    expunge(gallery, 0);
    expect(await nearestNow(graphs, gallery, probeOf(3), 1)).toEqual(ids(1, 256));
  });

  it('is dropped when few references are left', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    for (let person = 0; person < 172; person++) expunge(gallery, person);
    await graphs.run();
    expect(graphs.figures).toEqual([]);
    expect(await nearestNow(graphs, gallery, probeOf(3), 1)).toEqual(ids(172, 300));
  });

  it('returns only what the search may return', async () => {
    let now = 1000;
    const gallery = galleryOf(0, 256, () => now);
    for (let person = 0; person < 300; person++)
      enrol(gallery, person, 0, {
        galleries: new Set([person % 2 === 0 ? 'even' : 'odd']),
        searchedUntilMs: person === 4 ? 2000 : undefined,
      });
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    const all = (...galleries: string[]) => nearestNow(graphs, gallery, probeOf(3), 300, galleries);
    const even = ids(0, 300).filter((id) => Number(id.slice(1)) % 2 === 0);
    expect(await all('even')).toEqual(even);
    now = 2000;
    expect(await all('even')).toEqual(even.filter((id) => id !== 'p4'));
    const probe = probeOf(3);
    const view = new SearchView(gallery, [probe], EVERYTHING);
    enrol(gallery, 300);
    expunge(gallery, 7);
    expect(await nearest(graphs, view, probe, 300)).toEqual(ids(0, 300).filter((id) => !['p4', 'p7'].includes(id)));
    view.close();
  });

  it('has a replaced reference as long as a search reads it', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    const probe = probeOf(9, 0);
    const view = new SearchView(gallery, [probe], EVERYTHING);
    enrol(gallery, 9, 1);
    dropReferences(gallery, 9);
    await graphs.run();
    // Two captures of this person are in the graph.
    expect(await nearest(graphs, view, probe, 2)).toEqual(['p9']);
    expect(await nearestNow(graphs, gallery, probeOf(9), 300)).not.toContain('p9');
    expect(graphs.figures[0].references).toBe(301);
    view.close();
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ references: 299, pending: 0, removals: 0 }]);
  });

  it('forgets replaced and expunged references, and uses their places again', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    for (let round = 1; round <= 3; round++) {
      for (let person = 0; person < 100; person++) enrol(gallery, person, round);
      for (let person = 100; person < 120; person++) expunge(gallery, person);
      await graphs.run();
      expect(graphs.figures).toMatchObject([{ references: 280, pending: 0, removals: 0, state: 'ready' }]);
      for (let person = 100; person < 120; person++) enrol(gallery, person);
      await graphs.run();
      const [{ bytes }] = graphs.figures;
      // 300 vectors, and the places of those that were removed last.
      expect(bytes / 300).toBeLessThan(1.1 * 4 * (67 + DIMENSION) * 1.5);
    }
  });
});

describe('a graph is built anew', () => {
  /** @returns the number of threads that `work` starts */
  async function threadsOf(work: () => Promise<void>): Promise<number> {
    let count = 0;
    const note = () => count++;
    process.on('worker', note);
    await work();
    process.off('worker', note);
    return count;
  }

  it('when its directions are of far fewer references than there are now', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    for (let person = 300; person < 1199; person++) enrol(gallery, person);
    await graphs.run();
    expect(await threadsOf(() => graphs.run())).toBe(0);
    enrol(gallery, 1199);
    await graphs.run();
    expect(await threadsOf(() => graphs.run())).toBe(1);
    expect(await threadsOf(() => graphs.run())).toBe(0);
    expect(graphs.figures).toMatchObject([{ references: 1200, pending: 0, state: 'ready' }]);
    expect(await nearestNow(graphs, gallery, probeOf(1199), 10)).toContain('p1199');
  });

  it('when most of its vectors were removed; searches that had begun in the old one end there', async () => {
    const gallery = galleryOf(600);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    const [{ bytes }] = graphs.figures;
    for (let person = 0; person < 301; person++) expunge(gallery, person);
    await graphs.run();
    const probe = probeOf(400);
    const view = new SearchView(gallery, [probe], EVERYTHING);
    const search = nearest(graphs, view, probe, 10);
    expect(await threadsOf(() => graphs.run())).toBe(1);
    expect(await search).toContain('p400');
    view.close();
    expect(graphs.figures).toMatchObject([{ references: 299, pending: 0, removals: 0, state: 'ready' }]);
    expect(graphs.figures[0].bytes).toBeLessThan(bytes / 1.9);
  });
});

describe('while a graph is built', () => {
  it('references come, change and go, and segments are compacted', async () => {
    const gallery = galleryOf(1200);
    const graphs = graphsOf({ current: gallery }, { maxPending: 16 });
    const compactor = new Compactor({ current: gallery }, (error) => {
      throw error;
    });
    const built = graphs.run();
    const expected = new Map(Array.from({ length: 1200 }, (_, person) => [person, 0]));
    for (let step = 0; step < 150; step++) {
      enrol(gallery, 1200 + step);
      expected.set(1200 + step, 0);
      const [changed, gone] = [(step * 7) % 1200, (step * 11 + 3) % 1200];
      if (expected.has(changed)) {
        enrol(gallery, changed, 1);
        expected.set(changed, 1);
      }
      if (expected.delete(gone)) expunge(gallery, gone);
      if (step % 50 === 0) void compactor.run();
      await new Promise(setImmediate);
    }
    await built;
    await Promise.all([compactor.run(), graphs.run()]);
    expect(compactor.compactions).toBeGreaterThan(0);
    expect(graphs.figures).toMatchObject([{ references: expected.size, pending: 0, removals: 0, state: 'ready' }]);
    for (const [person, capture] of expected)
      if (person % 10 === 0)
        expect(await nearestNow(graphs, gallery, probeOf(person, capture), 20)).toContain(`p${person}`);
  });

  it('its gallery is replaced: searches of the old one go on, and a graph of the new one is built', async () => {
    const served = new ActiveGallery(gallerySizing(256));
    for (let person = 0; person < 300; person++) enrol(served.current, person);
    const graphs = graphsOf(served);
    await graphs.run();
    const old = served.current;
    const probe = probeOf(5);
    const view = new SearchView(old, [probe], EVERYTHING);
    const next = served.makeEmpty();
    for (let person = 0; person < 400; person++) enrol(next, person);
    void served.replace(next);
    expect(isCovered(graphs, next)).toBe(false);
    const built = graphs.run();
    served.hide('p6');
    expect(await nearest(graphs, view, probe, 300)).toEqual(ids(0, 300).filter((id) => id !== 'p6'));
    await built;
    expect(isCovered(graphs, next)).toBe(true);
    expect(await nearestNow(graphs, next, probeOf(399), 10)).toContain('p399');
    view.close();
    await old.presentSearchesEnded();
    expect(graphs.graphsOf((gallery) => gallery === old)).toBeUndefined();
  });

  it('it is stopped: its thread ends, and none begins later', async () => {
    const gallery = galleryOf(2000);
    const graphs = graphsOf({ current: gallery });
    const started = nextThread();
    const built = graphs.run();
    const thread = await started;
    const ended = once(thread, 'exit');
    await graphs.stop();
    await Promise.all([ended, built]);
    await graphs.run();
    expect(graphs.figures).toEqual([]);
    await expect(nearestNow(graphs, gallery, probeOf(1), 1)).rejects.toThrow(GraphLostError);
  });
});

describe('a failing graph', () => {
  it('is reported, dropped and built anew when its thread ends', async () => {
    const gallery = galleryOf(300);
    const errors: unknown[] = [];
    const graphs = graphsOf({ current: gallery }, { pauseMs: 0 }, (error) => errors.push(error));
    const started = nextThread();
    const built = graphs.run();
    const thread = await started;
    await built;
    // hnswlib-node does not survive the end of its thread in the middle of a call: the thread is idle now.
    await thread.terminate();
    expect(errors).toHaveLength(1);
    expect(graphs.figures).toMatchObject([{ state: 'failed', error: 'Error', references: 0 }]);
    expect(isCovered(graphs, gallery)).toBe(false);
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ state: 'ready', error: 'Error' }]);
    expect(await nearestNow(graphs, gallery, probeOf(33), 10)).toContain('p33');
  });

  it('is not built again during the pause', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery }, {}, () => undefined);
    const started = nextThread();
    const built = graphs.run();
    const thread = await started;
    await built;
    await thread.terminate();
    await graphs.run();
    expect(graphs.figures).toMatchObject([{ state: 'failed' }]);
    await expect(nearestNow(graphs, gallery, probeOf(1), 1)).resolves.toHaveLength(300);
    for (let person = 300; person < 600; person++) enrol(gallery, person);
    await expect(nearestNow(graphs, gallery, probeOf(1), 1)).rejects.toThrow(GraphLostError);
  });
});

describe('a search of a graph', () => {
  it('ends with the reason of its signal', async () => {
    const gallery = galleryOf(300);
    const graphs = graphsOf({ current: gallery });
    await graphs.run();
    const probe = probeOf(1);
    const view = new SearchView(gallery, [probe], EVERYTHING);
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const searches = [1, 2, 3].map(() => nearest(graphs, view, probe, 50, controller.signal));
    controller.abort(reason);
    for (const search of searches) await expect(search).rejects.toBe(reason);
    await expect(nearest(graphs, view, probe, 50, controller.signal)).rejects.toBe(reason);
    view.close();
    expect(await nearestNow(graphs, gallery, probeOf(1), 10)).toContain('p1');
  });

  it('is the same in two graphs that had the same changes', async () => {
    const lists = async (gallery: Gallery) => {
      const graphs = graphsOf({ current: gallery });
      await graphs.run();
      for (let person = 0; person < 40; person++) expunge(gallery, 3 * person);
      await graphs.run();
      for (let person = 0; person < 60; person++) enrol(gallery, 5000 + person);
      await graphs.run();
      const found: string[][] = [];
      for (let i = 0; i < 50; i++) found.push(await nearestNow(graphs, gallery, probeOf(i * 11), 12));
      return found;
    };
    expect(await lists(galleryOf(700))).toEqual(await lists(galleryOf(700, 64)));
  });

  it('returns exactly the live subjects of its scope, whatever changed, when its list is long enough', async () => {
    const person = fc.integer({ min: 0, max: 19 });
    const change = fc.oneof(
      fc.record({
        kind: fc.constant('enrol' as const),
        person,
        capture: fc.integer({ min: 0, max: 3 }),
        isOther: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('expunge' as const), person }),
      fc.record({ kind: fc.constant('wait' as const) }),
      fc.record({ kind: fc.constant('turn' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 10, maxLength: 60 }), async (changes) => {
        const gallery = galleryOf(8, 16);
        const graphs = graphsFor({ current: gallery }, { maxPending: 3 });
        try {
          await graphs.run();
          const scopes = new Map(Array.from({ length: 8 }, (_, i) => [i, 'main']));
          for (const step of changes) {
            if (step.kind === 'wait') await graphs.run();
            else if (step.kind === 'turn') await new Promise(setImmediate);
            else if (step.kind === 'expunge') {
              if (scopes.delete(step.person)) expunge(gallery, step.person);
            } else {
              const scope = step.isOther ? 'other' : 'main';
              scopes.set(step.person, scope);
              enrol(gallery, step.person, step.capture, { galleries: new Set([scope]) });
            }
            if (!isCovered(graphs, gallery)) continue;
            const wanted = (names: readonly string[]) =>
              [...scopes]
                .filter(([, scope]) => names.includes(scope))
                .map(([id]) => `p${id}`)
                .sort();
            expect(await nearestNow(graphs, gallery, probeOf(1), 1000)).toEqual(wanted(['main', 'other']));
            if (gallery.knows('other'))
              expect(await nearestNow(graphs, gallery, probeOf(1), 1000, ['other'])).toEqual(wanted(['other']));
          }
          await graphs.run();
          await graphs.run();
          expect(isCovered(graphs, gallery)).toBe(true);
        } finally {
          await graphs.stop();
        }
      }),
      { numRuns: 15 },
    );
  });
});
