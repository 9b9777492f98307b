/** A search whose subjects graphs propose. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { CandidateGraphs } from '../../src/matching/graph/candidate-graphs.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { GraphSearch } from '../../src/matching/search/graph-search.ts';
import { GraphSubjects } from '../../src/matching/search/graph-subjects.ts';
import { identify, type SearchRequest } from '../../src/matching/search/identification.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { STOP } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { ExactNeighbours } from './exact-neighbours.ts';
import { expunge, faceOf, galleryOf, probesOf, requestFor } from './people-gallery.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';
import { named } from '../named-scope.ts';

const PEOPLE = 150;
const FEW = { face: 5, finger: 5, perCandidate: 0, growsFrom: Infinity };

let pool: WorkerPool;
let gallery: Gallery;
beforeAll(() => {
  pool = new WorkerPool(2);
  gallery = galleryOf(PEOPLE);
});
afterAll(() => pool.close());

function search(source: CandidateSource, request: SearchRequest, signal = new AbortController().signal) {
  return identify(gallery, () => source, pool, request, signal);
}

const fail = (error: unknown) => {
  throw error;
};

const rowsOf = ({ candidates }: Awaited<ReturnType<typeof search>>) =>
  candidates.map(({ subject, log10Fmr, scores }) => [
    subject.subjectId,
    log10Fmr,
    scores.map(({ score, referenceId }) => [score, referenceId]),
  ]);

describe('a graph search', () => {
  it('scores its candidates as an exact search does, with all samples, and says how much it compared', async () => {
    const graph = new GraphSearch(pool, new ExactNeighbours(), FEW);
    for (const person of [3, 40, 77]) {
      const request = requestFor(await probesOf(pool, person, [2, 7], true));
      const [found, exact] = [await search(graph, request), await search(new ExactScan(pool), request)];
      expect(found.candidates[0]?.subject.subjectId).toBe(`p${person}`);
      expect(rowsOf(found)[0]).toEqual(rowsOf(exact)[0]);
      expect(found.candidates[0]?.scores).toHaveLength(3);
      expect(found).toMatchObject({ mode: 'indexed', way: 'graph', isEarly: false, searchedFraction: 1 });
      // Three lists of five subjects, which all have the mate.
      const compared = found.compared[0] ?? 0;
      expect(compared).toBeGreaterThanOrEqual(5);
      expect(compared).toBeLessThanOrEqual(13);
      expect(found.compared).toEqual([compared, compared, compared]);
      expect(found.penetration).toBeCloseTo(compared / PEOPLE, 9);
      expect(found.inScope).toEqual([PEOPLE, PEOPLE, PEOPLE]);
    }
  });

  it('equals the exact search, and is called so, where the lists hold everybody in scope', async () => {
    const graph = new GraphSearch(pool, new ExactNeighbours());
    for (const scope of [[], ['odd']]) {
      const request = { ...requestFor(await probesOf(pool, 9), scope), threshold: { maxLog10Fmr: 0 } };
      const [found, exact] = [await search(graph, request), await search(new ExactScan(pool), request)];
      expect(rowsOf(found)).toEqual(rowsOf(exact));
      expect(found).toMatchObject({
        mode: 'exact',
        way: undefined,
        penetration: 1,
        subjectsSearched: scope[0] === undefined ? PEOPLE : PEOPLE / 2,
      });
    }
  });

  it('makes an effort of its own for each modality, and more for a longer list', async () => {
    const neighbours = new ExactNeighbours();
    const graph = new GraphSearch(pool, neighbours);
    const probes = await probesOf(pool, 5, [2, 7], true);
    await search(graph, requestFor(probes));
    await search(graph, { ...requestFor(await faceOf(pool, 5)), maxCandidates: 100 });
    expect(neighbours.asked).toEqual(['finger 800', 'face 200', 'face 400']);
  });

  it('cannot search where the graphs do not cover the gallery, or most subjects are out of scope', async () => {
    const neighbours = new ExactNeighbours();
    const graph = new GraphSearch(pool, neighbours, FEW);
    const probes = await probesOf(pool, 5);
    const costIn = (scope: readonly string[]) => {
      const view = new SearchView(gallery, probes, named(scope), gallery.now());
      const cost = graph.expectedMs(probes, view);
      view.close();
      return cost;
    };
    const [all, half] = [costIn([]), costIn(['odd'])];
    neighbours.isCovering = false;
    const uncovered = costIn([]);
    neighbours.isCovering = true;
    neighbours.cost = 2;
    expect([all, half].every(Number.isFinite)).toBe(true);
    expect(uncovered).toBe(Infinity);
    // The graphs' own time is added: one list of an effort of five.
    expect(costIn([]) - all).toBeCloseTo(10, 6);
    const alone = galleryOf(7);
    const view = new SearchView(alone, probes, named(['odd']), alone.now());
    expect(view.scopeShare).toBeLessThan(0.5);
    expect(graph.expectedMs(probes, view)).toBe(Infinity);
    view.close();
  });

  it('expects the comparisons of a finger of unknown position, which is looked for in all graphs', async () => {
    const graphs = new CandidateGraphs({ current: gallery }, () => true, fail, { maxPending: 10 });
    await graphs.run();
    const nearest = new GraphSubjects(graphs);
    const graph = new GraphSearch(pool, nearest, FEW);
    const [known] = await probesOf(pool, 5);
    if (known.template.modality !== 'finger') throw new Error('this is no finger');
    const unknown = await prepareProbes(pool, [{ ...known, template: { ...known.template, position: 0 } }]);
    const expected = (probes: readonly Probe[]) => {
      const view = new SearchView(gallery, probes, EVERYTHING, gallery.now());
      const comparing = graph.expectedMs(probes, view) - nearest.expectedMs(probes, view, FEW.finger);
      view.close();
      return comparing / pool.costs.finger.milliseconds(1);
    };
    expect(expected([known])).toBeCloseTo(5, 6);
    expect((await search(graph, requestFor([known]))).compared).toEqual([5]);
    // Two lists of five subjects, with two fingers each; some subjects may be in both.
    expect(expected(unknown)).toBeCloseTo(20, 6);
    const [comparisons] = (await search(graph, requestFor(unknown))).compared;
    expect(comparisons).toBeGreaterThan(14);
    expect(comparisons).toBeLessThanOrEqual(20);
    await graphs.stop();
  });

  it('leaves out a subject that is expunged while the graphs answer', async () => {
    const own = galleryOf(30);
    const neighbours = new ExactNeighbours();
    const graph = new GraphSearch(pool, neighbours, FEW);
    const probes = await probesOf(pool, 4);
    const view = new SearchView(own, probes, EVERYTHING, own.now());
    const mates = await neighbours.nearest(probes, view, 5, new AbortController().signal);
    view.close();
    expect(mates.some(({ subjectId }) => subjectId === 'p4')).toBe(true);
    // The list was made a moment before.
    const late = Object.assign(new ExactNeighbours(), { nearest: () => Promise.resolve(mates) });
    expunge(own, 4);
    const ask = (source: GraphSearch) =>
      identify(
        own,
        () => source,
        pool,
        { ...requestFor(probes), threshold: { maxLog10Fmr: 0 } },
        new AbortController().signal,
      );
    const found = await ask(new GraphSearch(pool, late, FEW));
    expect(found.compared).toEqual([mates.length - 1, mates.length - 1]);
    expect(found.candidates.map(({ subject }) => subject.subjectId)).not.toContain('p4');
    expect((await ask(graph)).subjectsSearched).toBe(29);
  });

  it('stops with the search', async () => {
    const neighbours = new ExactNeighbours();
    const reason = new Error('nobody waits');
    const controller = new AbortController();
    neighbours.before = () => Promise.resolve(controller.abort(reason));
    const graph = new GraphSearch(pool, neighbours, FEW, new ExactScan(pool));
    await expect(search(graph, requestFor(await probesOf(pool, 1)), controller.signal)).rejects.toBe(reason);
  });

  it('says that nothing was searched when the time for looking is up, before or while the graphs answer', async () => {
    const neighbours = new ExactNeighbours();
    const graph = new GraphSearch(pool, neighbours, FEW, new ExactScan(pool));
    const request = requestFor(await probesOf(pool, 1));
    const nothing = { candidates: [], compared: [0, 0], searchedFraction: 0, penetration: 0, mode: 'indexed' };
    expect(await search(graph, { ...request, scanUntilMs: Date.now() - 1 })).toMatchObject(nothing);
    expect(neighbours.asked).toEqual([]);
    // Graphs that never answer: only the signal ends the wait.
    neighbours.before = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late'))));
    expect(await search(graph, { ...request, scanUntilMs: Date.now() + 20 })).toMatchObject(nothing);
    expect(neighbours.asked).toEqual(['finger 5']);
  });

  it('states the share of the comparisons made when the time for comparing is up', async () => {
    const own = new GraphSearch(pool, new ExactNeighbours(), { ...FEW, finger: 400 });
    const half: CandidateSource = {
      mode: 'indexed',
      way: 'graph',
      expectedMs: () => 0,
      propose: (probes, target, run) => {
        const compare = pool.compare.bind(pool);
        pool.compare = (task, segments) =>
          compare(task, segments).finally(() => {
            pool.compare = compare;
            run.stop.raise(STOP.compare);
          });
        return own.propose(probes, target, run);
      },
    };
    const request = requestFor(await probesOf(pool, 1));
    const found = await identify(gallery, () => half, pool, request, new AbortController().signal, 1);
    // The first finger was compared, the second was not; the candidate it found is scored with both.
    expect(found.searchedFraction).toBeCloseTo(0.5, 9);
    expect(found.penetration).toBeCloseTo(0.5, 9);
    expect(found.candidates[0]).toMatchObject({ subject: { subjectId: 'p1' } });
    expect(found.candidates[0]?.scores).toHaveLength(2);
  });

  it('goes on without graphs that fail: by the other source, or with nothing', async () => {
    const broken = new ExactNeighbours();
    broken.before = () => Promise.reject(new Error('the thread has ended'));
    const request = requestFor(await probesOf(pool, 6));
    const otherwise = await search(new GraphSearch(pool, broken, FEW, new ExactScan(pool)), request);
    expect(otherwise).toMatchObject({ mode: 'exact', way: undefined, candidates: [{ subject: { subjectId: 'p6' } }] });
    const nothing = await search(new GraphSearch(pool, broken, FEW), request);
    expect(nothing).toMatchObject({ mode: 'indexed', way: 'graph', candidates: [], searchedFraction: 0 });
  });
});
