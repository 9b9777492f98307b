import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { identify, type SearchRequest } from '../../src/matching/search/identification.ts';
import type { SearchedModalities } from '../../src/matching/search/audit-figures.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { STOP } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerPosition, FingerTemplate } from '../../src/templates/finger-template.ts';
import { random, secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { EVERYTHING } from '../../src/gallery/scope.ts';
import { named } from '../named-scope.ts';

const PEOPLE = 240;
const encoder = new ReferenceEncoder();
const print = (person: number, position: FingerPosition): FingerTemplate => ({
  ...somePrint(person * 20 + position, 30 + (person % 20)),
  position,
});

function face(person: number, capture: number): FaceTemplate {
  const [own, noise] = [random(person), random(person * 1000 + capture)];
  const values = Int8Array.from({ length: 64 }, () => Math.round(60 * (own() - 0.5) + 30 * (noise() - 0.5)));
  return { modality: 'face', modelId: 'm', dimension: 64, quality: 0, values };
}

/** All subjects have a face, two of three a right index finger, every other one a left one; every third is in `b`. */
function enrol(gallery: Gallery, i: number): void {
  const fingers = [...(i % 3 > 0 ? [2 as const] : []), ...(i % 2 > 0 ? [7 as const] : [])];
  const references: SearchableReference[] = fingers.map((position) => ({
    referenceId: `p${i}-${position}`,
    partition: { modality: 'finger', position },
    packed: encoder.encode(print(i, position)),
  }));
  const partition = { modality: 'face', modelId: 'm', dimension: 64 } as const;
  references.push({ referenceId: `p${i}-face`, partition, packed: packFace(face(i, 0)) });
  const attributes = subjectAttributes({ galleries: new Set(i % 3 === 0 ? ['b'] : ['a']) });
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${i}`, attributes, references });
}

function filledGallery(capacity: number): Gallery {
  const gallery = new Gallery(gallerySizing(capacity));
  for (let i = 0; i < PEOPLE; i++) enrol(gallery, i);
  return gallery;
}

/** The people of filledGallery, many of them enrolled again, in compacted segments. */
async function rewrittenGallery(): Promise<Gallery> {
  const gallery = filledGallery(40);
  for (let i = 0; i < PEOPLE; i++) {
    if (i % 5 > 2) continue;
    gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${i}` });
    enrol(gallery, i);
  }
  const compactor = new Compactor({ current: gallery }, (error) => {
    throw error;
  });
  await compactor.run();
  expect(compactor.compactions).toBeGreaterThan(5);
  return gallery;
}

/** The same source, as if graphs proposed its subjects. */
function graphOf(source: CandidateSource): CandidateSource {
  return {
    mode: 'indexed',
    way: 'graph',
    expectedMs: (probes, view) => source.expectedMs(probes, view),
    propose: async (...given) => ({ ...(await source.propose(...given)), mode: 'indexed', way: 'graph' }),
  };
}

function requestFor(probes: readonly Probe[], galleries: readonly string[] = []): SearchRequest {
  return {
    probes,
    scope: named(galleries),
    maxCandidates: 10,
    threshold: { maxLog10Fmr: 0 },
    standardFpir: 0.01,
    instantMs: 1000,
  };
}

describe('the search strategies', () => {
  const pools: WorkerPool[] = [];
  beforeAll(() => void pools.push(new WorkerPool(1), new WorkerPool(2)));
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  const probesOf = (person: number, fingers: readonly FingerPosition[], withFace: boolean) =>
    prepareProbes(pools[0], [
      ...fingers.map((position, i) => ({
        sampleIndex: i,
        viewIndex: 0,
        template: secondImpression(print(person, position), person, 20),
      })),
      ...(withFace ? [{ sampleIndex: 9, viewIndex: 0, template: face(person, 1) }] : []),
    ]);

  const listOf = async (gallery: Gallery, pool: WorkerPool, way: 'exact' | 'indexed', request: SearchRequest) => {
    const source = way === 'exact' ? new ExactScan(pool) : new IndexedScan(pool);
    const result = await identify(gallery, () => source, pool, request, new AbortController().signal);
    // All subjects are shortlisted: the index cannot miss a mate, and the answer is exact.
    expect(result.mode).toBe('exact');
    return result.candidates.map(({ subject, log10Fmr, scores }) => [
      subject.subjectId,
      log10Fmr,
      scores.map(({ score, referenceId }) => `${referenceId} ${score}`),
    ]);
  };

  it('give equal lists when all subjects are shortlisted, for any segments and number of threads', async () => {
    const galleries = [filledGallery(1000), filledGallery(7), await rewrittenGallery()];
    for (const gallery of galleries) {
      gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: 'p5' });
    }
    const cases = await Promise.all([
      probesOf(1, [2, 7], false),
      probesOf(4, [2], false),
      probesOf(5, [2, 7], true),
      probesOf(9, [7], true),
      probesOf(17, [], true),
      probesOf(10_000, [2, 7], true),
    ]);
    for (const probes of cases) {
      for (const scope of [[], ['b'], ['a', 'b'], ['nobody']]) {
        const request = requestFor(probes, scope);
        const expected = await listOf(galleries[0], pools[0], 'exact', request);
        for (const gallery of galleries) {
          for (const pool of pools) {
            expect(await listOf(gallery, pool, 'indexed', request)).toEqual(expected);
            expect(await listOf(gallery, pool, 'exact', request)).toEqual(expected);
          }
        }
        expect(expected.some(([subject]) => subject === 'p5')).toBe(false);
      }
    }
    const [[best]] = await listOf(galleries[1], pools[1], 'indexed', requestFor(cases[0]));
    expect(best).toBe('p1');
  });

  it('never drop a subject at or above the threshold', async () => {
    const gallery = filledGallery(50);
    const [pool] = pools;
    for (const probes of [
      await probesOf(1, [2, 7], false),
      await probesOf(1, [0, 0, 7], true),
      await probesOf(9, [], true),
    ]) {
      for (const way of ['exact', 'indexed'] as const) {
        const everybody = { ...requestFor(probes), maxCandidates: PEOPLE };
        const all = await listOf(gallery, pool, way, everybody);
        expect(all.length).toBeGreaterThan(0);
        const rates = all.map(([, log10Fmr]) => Number(log10Fmr));
        // At the rates themselves, too: rounding must not drop a subject.
        for (const maxLog10Fmr of rates.flatMap((rate) => [rate, rate - 0.001])) {
          const request = { ...everybody, threshold: { maxLog10Fmr } };
          const expected = all.filter(([, log10Fmr]) => Number(log10Fmr) <= maxLog10Fmr);
          expect(await listOf(gallery, pool, way, request)).toEqual(expected);
        }
      }
    }
  });

  it('find mates among the few subjects that the codes and the vectors propose', async () => {
    const gallery = filledGallery(50);
    const few = { min: 20, perCandidate: 1, share: 0, ranked: 5 / 3 };
    const [pool] = pools;
    let found = 0;
    const people = Array.from({ length: 30 }, (_, i) => 6 * i + 1);
    for (const person of people) {
      const request = requestFor(await probesOf(person, [2, 7], false));
      const source = new IndexedScan(pool, few);
      const result = await identify(gallery, () => source, pool, request, new AbortController().signal);
      expect(result.mode).toBe('indexed');
      expect(result.penetration).toBeGreaterThanOrEqual(20 / PEOPLE);
      expect(result.penetration).toBeLessThan(40 / PEOPLE);
      expect(result.compared.every((count) => count > 0 && count <= 40)).toBe(true);
      if (result.candidates[0]?.subject.subjectId === `p${person}`) found++;
    }
    expect(found).toBeGreaterThanOrEqual(29);
  });

  it('are not called exact where most of those that the codes had chosen were expunged during the search', async () => {
    const gallery = filledGallery(1000);
    const source = new IndexedScan(pools[0], { min: 20, perCandidate: 1, share: 0.001, ranked: 5 / 3 });
    const probes = await probesOf(10_001, [2], false);
    const choose = pools[0].choose.bind(pools[0]);
    const chosen = vi.spyOn(pools[0], 'choose').mockImplementation(async (task, segments) => {
      const result = await choose(task, segments);
      const { certain, first } = result.order;
      const owners = [...certain, ...first].flatMap((indices) => [...indices]);
      expect(owners.length).toBeGreaterThanOrEqual(20);
      // Those of a choice that was a moment later: the more similar ones are gone.
      const view = gallery.partition({ modality: 'finger', position: 2 })?.ranges() ?? [];
      for (const index of owners.slice(1)) {
        const subject = gallery.subjectWithOrdinal(view[0].segment.ownerOf(index));
        if (subject !== undefined)
          gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: subject.subjectId });
      }
      return choose(task, segments);
    });
    const request = { ...requestFor(probes), maxCandidates: 1 };
    const { mode } = await identify(gallery, () => source, pools[0], request, new AbortController().signal);
    chosen.mockRestore();
    expect(mode).toBe('indexed');
  });

  it('stop when the search is aborted', async () => {
    const gallery = filledGallery(100);
    const probes = await probesOf(1, [2, 7], true);
    const reason = new Error('nobody waits');
    for (const source of [new ExactScan(pools[1]), new IndexedScan(pools[1])]) {
      const controller = new AbortController();
      const search = identify(gallery, () => source, pools[1], requestFor(probes), controller.signal);
      controller.abort(reason);
      await expect(search).rejects.toBe(reason);
    }
  });

  it('return partial results when the scan deadline passes', async () => {
    const gallery = filledGallery(20);
    const probes = await probesOf(1, [2, 7], false);
    const [pool] = pools;
    const search = (source: CandidateSource, scanUntilMs: number) =>
      identify(gallery, () => source, pool, { ...requestFor(probes), scanUntilMs }, new AbortController().signal, 1);
    for (const Source of [ExactScan, IndexedScan]) {
      const all = await search(new Source(pool), Date.now() + 60_000);
      expect(all.searchedFraction).toBe(1);
      expect(all.compared.every((count) => count > 0)).toBe(true);
      const none = await search(new Source(pool), Date.now() - 1);
      expect(none).toMatchObject({ candidates: [], compared: [0, 0], inScope: all.inScope });
      expect(none.searchedFraction).toBe(0);
      // The time is up while the threads read the first finger, or before they read the second.
      let tasks = 0;
      const slow: CandidateSource = new Source(pool);
      const propose = slow.propose.bind(slow);
      slow.propose = (some, most, run) => {
        const [scan, scanCodes] = [pool.scan.bind(pool), pool.scanCodes.bind(pool)];
        pool.scan = (task, segment) => {
          if (tasks++ === 2) run.stop.raise(STOP.scan);
          return scan(task, segment);
        };
        pool.scanCodes = (task, segments) => {
          if (tasks++ === 1) run.stop.raise(STOP.scan);
          return scanCodes(task, segments);
        };
        return propose(some, most, run).finally(() => Object.assign(pool, { scan, scanCodes }));
      };
      const partial = await search(slow, Date.now() + 60_000);
      expect(partial.searchedFraction).toBeGreaterThan(0);
      expect(partial.searchedFraction).toBeLessThan(0.6);
      // The mate is in the first segment; the second finger was not scanned.
      expect(partial.candidates[0]?.subject.subjectId).toBe('p1');
      expect(partial.candidates[0]?.scores).toHaveLength(2);
      expect(partial.compared[1]).toBeGreaterThan(0);
    }
  });

  it('report searchedFraction < 1 when the comparison deadline passes', async () => {
    const gallery = filledGallery(20);
    const probes = await probesOf(1, [2, 7], false);
    const [pool] = pools;
    const source = new IndexedScan(pool);
    const propose = source.propose.bind(source);
    source.propose = (some, most, run) => {
      const compare = pool.compare.bind(pool);
      // The first finger is compared; the time is up before the second.
      pool.compare = (task, segments) =>
        compare(task, segments).finally(() => {
          pool.compare = compare;
          run.stop.raise(STOP.compare);
        });
      return propose(some, most, run);
    };
    const signal = new AbortController().signal;
    const partial = await identify(gallery, () => source, pool, requestFor(probes), signal, 1);
    expect(partial.searchedFraction).toBeGreaterThan(0.3);
    expect(partial.searchedFraction).toBeLessThan(0.7);
    expect(partial.candidates[0]?.subject.subjectId).toBe('p1');
    expect(partial.candidates[0]?.scores).toHaveLength(2);
    const until = { ...requestFor(probes), compareUntilMs: Date.now() - 1 };
    expect(await identify(gallery, () => new IndexedScan(pool), pool, until, signal)).toMatchObject({
      searchedFraction: 0,
      candidates: [],
    });
    const enough = { ...requestFor(probes), compareUntilMs: Date.now() + 60_000 };
    const whole = await identify(gallery, () => new IndexedScan(pool), pool, enough, signal);
    expect(whole.searchedFraction).toBe(1);
    expect(whole.candidates[0]?.subject.subjectId).toBe('p1');
  });

  it('are compared with each other by the audit', async () => {
    const gallery = filledGallery(1000);
    const [pool] = pools;
    let idle = 0;
    const errors: unknown[] = [];
    const audit = new IndexAudit(
      0.5,
      0.999,
      { current: gallery },
      pool,
      () => Promise.resolve(void idle++),
      (error) => errors.push(error),
    );
    const nothing = { searches: 0, candidates: 0, missed: 0, missRate: 0, missRateUpper: 1, missesTarget: false };
    expect(audit.figures).toEqual(nothing);
    const index = new IndexedScan(pool);
    // The audit uses the service's own threshold and no deadline, whatever the caller requested.
    const asked = { scanUntilMs: Date.now() - 1, maxCandidates: 100 };
    for (let i = 0; i < 6; i++)
      audit.note({ ...requestFor(await probesOf(6 * i + 1, [2, 7], false)), ...asked }, index);
    await audit.settled();
    const { searches, candidates, missed, missRate, missRateUpper } = audit.figures;
    expect([searches, missed, missRate, idle, errors]).toEqual([3, 0, 0, 3, []]);
    expect(candidates).toBe(3);
    expect(missRateUpper).toBeCloseTo(1.645 ** 2 / (candidates + 1.645 ** 2), 6);
    // The audit repeats a search by the source that answered it, and detects that it misses the first candidate.
    const lossy = Object.assign(new IndexedScan(pool), {
      propose: async (...given: Parameters<IndexedScan['propose']>) => {
        const proposal = await new IndexedScan(pool).propose(...given);
        return { ...proposal, subjects: proposal.subjects.slice(1) };
      },
    });
    const graph = graphOf(lossy);
    const strict = new IndexAudit(
      1,
      0.999,
      { current: gallery },
      pool,
      () => Promise.resolve(),
      (error) => errors.push(error),
    );
    strict.note(requestFor(await probesOf(8, [2], false)), lossy);
    await strict.settled();
    expect(strict.figures.missed).toBeGreaterThan(0);
    // Modalities and ways are counted each for themselves: an answer states the loss of searches like it.
    strict.note(requestFor(await probesOf(8, [], true)), lossy);
    strict.note(requestFor(await probesOf(7, [7], true)), lossy);
    for (let i = 0; i < 3; i++) strict.note(requestFor(await probesOf(7, [7], true)), graph);
    strict.note(requestFor(await probesOf(7, [7], true)), new ExactScan(pool));
    await strict.settled();
    const searchesOf = (modality: SearchedModalities) =>
      (['codes', 'graph'] as const).map((way) => strict.figuresOf(modality, way).searches);
    expect([searchesOf('finger'), searchesOf('face'), searchesOf('finger+face')]).toEqual([
      [1, 0],
      [1, 0],
      [1, 3],
    ]);
    expect(strict.figures.searches).toBe(6);
    expect(strict.figures.missed).toBe(strict.groups.reduce((sum, { figures }) => sum + figures.missed, 0));
    expect(strict.figuresOf('finger+face', 'graph')).toMatchObject({ missed: 3, missesTarget: true });
    // A source that cannot search any more is not blamed for what it does not find.
    const gone = Object.assign(graphOf(lossy), { expectedMs: () => Infinity });
    strict.note(requestFor(await probesOf(7, [7], true)), gone);
    await strict.settled();
    expect(strict.figures.searches).toBe(6);
    expect(errors).toEqual([]);
    await strict.stop();
  });

  it('are chosen by their cost', async () => {
    const gallery = filledGallery(1000);
    const probes = await probesOf(1, [2, 7], false);
    const pool = new WorkerPool(1);
    const view = new SearchView(gallery, probes, EVERYTHING, 0);
    const planner = new Planner(pool);
    expect(planner.choose(probes, view, false).mode).toBe('exact');
    // A machine on which a comparison takes ten milliseconds, and scanning a vector almost nothing.
    const range = view.rangesFor(probes[0])[0];
    const size = { ordinals: 1_000_000, population: 1_000_000 };
    const large = { rangesFor: () => [{ ...range, end: 1_000_000 }], ...size } as unknown as SearchView;
    expect(planner.choose(probes, large, false).mode).toBe('indexed');
    expect(planner.choose(probes, large, true).mode).toBe('exact');
    // One task of pure overhead says little about a million vectors.
    pool.costs.code.note(20, 1);
    pool.costs.choose.note(20, 1);
    expect(planner.choose(probes, large, false).mode).toBe('indexed');
    for (let i = 0; i < 1000; i++) pool.costs.code.note(1_000_000, 1_000_000);
    expect(planner.choose(probes, large, false).mode).toBe('exact');
    view.close();
    await pool.close();
  });
});
