/** Early lists of candidates. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gallery } from '../../src/gallery/gallery.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { EARLY_EFFORT, GraphSearch } from '../../src/matching/search/graph-search.ts';
import { identify, type SearchRequest, type SearchResult } from '../../src/matching/search/identification.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { STOP } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { ExactNeighbours } from './exact-neighbours.ts';
import { enrolCaptures, expunge, faceOf, galleryOf, probesOf, requestFor } from './people-gallery.ts';

const PEOPLE = 200;
const FEW = { min: 50, perCandidate: 1, share: 0, ranked: 1.5 };
/** Nobody of the gallery. */
const STRANGER = 5000;

let pool: WorkerPool;
let gallery: Gallery;
beforeAll(() => {
  pool = new WorkerPool(2);
  gallery = galleryOf(PEOPLE);
});
afterAll(() => pool.close());

interface Told {
  readonly early: SearchResult[];
  readonly result: SearchResult;
  /** Comparisons made in all. */
  readonly comparisons: number;
}

/** @param isEnough - whether the early list ends the search */
async function search(
  source: CandidateSource,
  request: SearchRequest,
  isEnough: boolean,
  quick?: CandidateSource,
  { of = gallery, onEarly }: { of?: Gallery; onEarly?: () => void } = {},
): Promise<Told> {
  const early: SearchResult[] = [];
  const found = (list: SearchResult) => {
    early.push(list);
    onEarly?.();
    return isEnough;
  };
  let comparisons = 0;
  const compare = pool.compare.bind(pool);
  pool.compare = async (task, segments) => {
    const made = await compare(task, segments);
    comparisons += made.compared;
    return made;
  };
  const wish = { ...request, firstHit: { quick: () => quick, found } };
  const result = await identify(of, () => source, pool, wish, new AbortController().signal).finally(
    () => (pool.compare = compare),
  );
  return { early, result, comparisons };
}

const codes = () => new IndexedScan(pool, FEW);
const graphs = () =>
  new GraphSearch(pool, new ExactNeighbours(), { face: 10, finger: 10, perCandidate: 0, growsFrom: Infinity });
const subjectsOf = ({ candidates }: SearchResult) => candidates.map(({ subject }) => subject.subjectId);

describe.each([
  ['codes', () => [codes(), undefined] as const],
  ['graphs before codes', () => [codes(), graphs()] as const],
  ['graphs before an exact search', () => [new ExactScan(pool), graphs()] as const],
])('an early list by %s', (name, sources) => {
  const way = name === 'codes' ? 'codes' : 'graph';

  it('ends the search where it is enough, and is scored like the complete one', async () => {
    for (const person of [3, 60, 144]) {
      const request = requestFor(await probesOf(pool, person));
      const [source, quick] = sources();
      const { early, result, comparisons } = await search(source, request, true, quick);
      expect(early).toEqual([result]);
      expect(result).toMatchObject({ isEarly: true, mode: 'indexed', way, band: 'strong-candidate' });
      expect(result).toMatchObject({ subjectsSearched: PEOPLE, galleryVersion: gallery.version });
      const [complete, completeComparisons] = await wholeOf(source, request);
      expect(subjectsOf(result)[0]).toBe(`p${person}`);
      expect(result.candidates[0]?.scores).toEqual(complete.candidates[0]?.scores);
      expect([result.thresholdLog10, result.fpir]).toEqual([complete.thresholdLog10, complete.fpir]);
      // The share of the subjects that was compared, of which each has a reference of both fingers.
      expect(result.searchedFraction).toBe(result.penetration);
      expect(result.penetration).toBeCloseTo((result.compared[0] ?? 0) / PEOPLE, 9);
      expect(result.penetration).toBeLessThan(0.15);
      expect(comparisons).toBeLessThan(completeComparisons / 1.5);
    }
  });

  it('is followed by the complete list where it is not, once', async () => {
    const request = requestFor(await probesOf(pool, 8));
    const [source, quick] = sources();
    const { early, result } = await search(source, request, false, quick);
    expect(early.map(({ isEarly, band }) => [isEarly, band])).toEqual([[true, 'strong-candidate']]);
    const [complete] = await wholeOf(source, request);
    expect(result).toEqual(complete);
    expect(result).toMatchObject({ isEarly: false, searchedFraction: 1 });
  });

  it('is not made of candidates that are not strong, or of none', async () => {
    const [source, quick] = sources();
    for (const person of [8, STRANGER]) {
      // At this threshold the mate is a candidate for review at most.
      const own = await probesOf(pool, person);
      const [{ candidates }] = await wholeOf(source, requestFor(own));
      const maxLog10Fmr = (candidates[0]?.log10Fmr ?? -1) + 0.001;
      const request = { ...requestFor(own), threshold: { maxLog10Fmr } };
      const { early, result } = await search(source, request, true, quick);
      expect(early).toEqual([]);
      expect(result).toMatchObject({ isEarly: false, searchedFraction: 1 });
      if (person === 8) expect(result.candidates[0]).toMatchObject({ subject: { subjectId: 'p8' }, band: 'review' });
    }
  });

  it('does not keep a subject in the complete list that is expunged after it', async () => {
    const own = galleryOf(PEOPLE);
    const [source, quick] = sources();
    const onEarly = () => expunge(own, 8);
    const { early, result } = await search(source, requestFor(await probesOf(pool, 8)), false, quick, {
      of: own,
      onEarly,
    });
    expect(early.map(subjectsOf)).toEqual([['p8']]);
    expect(subjectsOf(result)).toEqual([]);
  });

  it('is none where its strong candidate is expunged while it is explained', async () => {
    const own = galleryOf(PEOPLE);
    const [source, quick] = sources();
    const explain = pool.explain.bind(pool);
    pool.explain = (...given) => {
      if (own.subject('p8') !== undefined) expunge(own, 8);
      return explain(...given);
    };
    const request = { ...requestFor(await probesOf(pool, 8)), explain: true };
    const { early, result } = await search(source, request, true, quick, { of: own }).finally(
      () => (pool.explain = explain),
    );
    expect(early).toEqual([]);
    expect(result).toMatchObject({ isEarly: false, candidates: [] });
  });

  it('is explained where that is wanted', async () => {
    const [source, quick] = sources();
    const request = { ...requestFor(await probesOf(pool, 8)), explain: true };
    const { result } = await search(source, request, true, quick);
    expect(result.isEarly).toBe(true);
    for (const { explanation } of result.candidates[0]?.scores ?? [])
      expect(explanation?.pairs.length).toBeGreaterThan(5);
  });
});

/** The complete list, and the comparisons made for it. */
async function wholeOf(source: CandidateSource, request: SearchRequest): Promise<[SearchResult, number]> {
  const quick = new GraphSearch(pool, new ExactNeighbours(), {
    face: 0,
    finger: 0,
    perCandidate: 0,
    growsFrom: Infinity,
  });
  const counted = await search(source, { ...request }, false, quick);
  const result = await identify(gallery, () => source, pool, request, new AbortController().signal);
  const comparisons = source instanceof ExactScan ? 2 * PEOPLE : counted.comparisons;
  return [result, comparisons];
}

describe('an early list', () => {
  it('may lack a stronger candidate, which the complete list has', async () => {
    // The same person twice. The graphs know only the record that is less strong.
    const own = galleryOf(PEOPLE);
    const probes = await probesOf(pool, 8);
    enrolCaptures(own, 'same', probes);
    const forgetful = Object.assign(new ExactNeighbours(), {
      nearest: async (...given: Parameters<ExactNeighbours['nearest']>) =>
        (await new ExactNeighbours().nearest(...given)).filter(({ subjectId }) => subjectId !== 'p8'),
    });
    const quick = new GraphSearch(pool, forgetful, EARLY_EFFORT);
    const { early, result } = await search(codes(), requestFor(probes), false, quick, { of: own });
    expect(early.map(subjectsOf)).toEqual([['same']]);
    expect(subjectsOf(result)).toEqual(['p8', 'same']);
  });

  it('is none where the quick source has compared everybody: its list is complete', async () => {
    const all = new GraphSearch(pool, new ExactNeighbours());
    const { early, result } = await search(codes(), requestFor(await probesOf(pool, 8)), true, all);
    expect(early).toEqual([]);
    expect(result).toMatchObject({ isEarly: false, mode: 'exact', way: undefined, searchedFraction: 1 });
    const whole = await search(new IndexedScan(pool), requestFor(await probesOf(pool, 8)), true);
    expect(whole.early).toEqual([]);
    expect(whole.result).toMatchObject({ isEarly: false, mode: 'exact' });
  });

  it('is none of codes of faces alone, whose comparisons take no time', async () => {
    const { early, result } = await search(codes(), requestFor(await faceOf(pool, 8)), true);
    expect(early).toEqual([]);
    expect(result).toMatchObject({ isEarly: false, candidates: [{ subject: { subjectId: 'p8' } }] });
  });

  it('is none where the time for comparing is up: the partial list says what was searched', async () => {
    const source = codes();
    const propose = source.propose.bind(source);
    source.propose = (probes, target, run) => {
      const compare = pool.compare.bind(pool);
      pool.compare = (task, segments) =>
        compare(task, segments).finally(() => {
          pool.compare = compare;
          run.stop.raise(STOP.compare);
        });
      return propose(probes, target, run);
    };
    const { early, result } = await search(source, requestFor(await probesOf(pool, 8)), true);
    expect(early).toEqual([]);
    expect(result.isEarly).toBe(false);
    expect(result.searchedFraction).toBeGreaterThan(0);
    expect(result.searchedFraction).toBeLessThan(1);
  });

  it('is not given once the search is aborted', async () => {
    const controller = new AbortController();
    const reason = new Error('nobody waits');
    const source = codes();
    const propose = source.propose.bind(source);
    source.propose = (probes, target, run) => {
      const compare = pool.compare.bind(pool);
      pool.compare = (task, segments) =>
        compare(task, segments).finally(() => {
          pool.compare = compare;
          controller.abort(reason);
        });
      return propose(probes, target, run);
    };
    let told = 0;
    const firstHit = { quick: () => undefined, found: () => ++told > 0 };
    const request = { ...requestFor(await probesOf(pool, 8)), firstHit };
    await expect(identify(gallery, () => source, pool, request, controller.signal)).rejects.toBe(reason);
    expect(told).toBe(0);
  });
});
