/** Small galleries in large stores: only the scope is compared, and the answer is that of an exact search. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { MAX_LISTED } from '../../src/gallery/membership.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { identify, type SearchRequest } from '../../src/matching/search/identification.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { ScopeList } from '../../src/matching/search/scope-list.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
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

const PEOPLE = 150;
const POSITIONS = [0, 2, 7] as const;
const FACES = { modality: 'face', modelId: 'm', dimension: 64 } as const;
const encoder = new ReferenceEncoder();
const print = (person: number, position: FingerPosition): FingerTemplate => ({
  ...somePrint(person * 20 + position, 30 + (person % 20)),
  position,
});

function face(person: number, capture: number): FaceTemplate {
  const [own, noise] = [random(person), random(person * 1000 + capture)];
  const values = Int8Array.from({ length: 64 }, () => Math.round(60 * (own() - 0.5) + 30 * (noise() - 0.5)));
  return { ...FACES, quality: 0, values };
}

/** One finger per position and the face of every person; which of them are enrolled is random. */
const packedFingers = Array.from({ length: PEOPLE }, (_, person) =>
  POSITIONS.map((position) => encoder.encode(print(person, position))),
);
const packedFaces = Array.from({ length: PEOPLE }, (_, person) => packFace(face(person, 0)));

interface Drawn {
  readonly instances: readonly boolean[];
  readonly galleries: readonly string[];
  readonly isExpunged: boolean;
  readonly searchedUntilMs: number | undefined;
}
const drawn: fc.Arbitrary<Drawn> = fc.record({
  instances: fc.tuple(fc.boolean(), fc.boolean(), fc.boolean(), fc.boolean()),
  galleries: fc.oneof(
    { weight: 5, arbitrary: fc.constant(['all']) },
    { weight: 1, arbitrary: fc.subarray(['all', 'x', 'y', 'z']) },
  ),
  isExpunged: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  searchedUntilMs: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined, freq: 3 }),
});

function fill(gallery: Gallery, people: readonly Drawn[]): void {
  people.forEach(({ instances, galleries, searchedUntilMs }, person) => {
    const references = POSITIONS.flatMap((position, p): SearchableReference[] => {
      const partition = { modality: 'finger', position } as const;
      return instances[p]
        ? [{ referenceId: `p${person}-${position}`, partition, packed: packedFingers[person][p] }]
        : [];
    });
    if (instances[3])
      references.push({ referenceId: `p${person}-face`, partition: FACES, packed: packedFaces[person] });
    const attributes = subjectAttributes({ galleries: new Set(galleries), searchedUntilMs });
    gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${person}`, attributes, references });
  });
  people.forEach(({ isExpunged }, person) => {
    if (isExpunged) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${person}` });
  });
}

describe('a gallery of few subjects', () => {
  let pool: WorkerPool;
  const probes: Probe[][] = [];
  beforeAll(async () => {
    pool = new WorkerPool(2);
    for (let person = 0; person < 6; person++) {
      const fingers = POSITIONS.slice(person % 3).map((position, i) => ({
        sampleIndex: i,
        viewIndex: 0,
        template: secondImpression(print(person, position), person, 20),
      }));
      const faces = person % 2 === 0 ? [{ sampleIndex: 9, viewIndex: 0, template: face(person, 1) }] : [];
      probes.push(await prepareProbes(pool, [...fingers, ...faces]));
    }
  });
  afterAll(() => pool.close());

  const search = (gallery: Gallery, source: CandidateSource, request: Partial<SearchRequest>) => {
    const whole = {
      probes: probes[0],
      scope: EVERYTHING,
      maxCandidates: 10,
      threshold: { maxLog10Fmr: 0 },
      standardFpir: 0.01,
      ...request,
    };
    return identify(gallery, () => source, pool, whole, new AbortController().signal);
  };

  it('gives the answer of a full scan, bit for bit', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(drawn, { minLength: PEOPLE, maxLength: PEOPLE }),
        fc.nat(5),
        fc.subarray(['x', 'y', 'z', 'nobody'], { minLength: 1 }),
        fc.record({
          maxCandidates: fc.constantFrom(1, 3, 500),
          threshold: fc.constantFrom({ maxLog10Fmr: 0 }, { maxLog10Fmr: -3 }, { targetFpir: 0.1 }),
          instantMs: fc.nat(20),
          explain: fc.boolean(),
        }),
        fc.constantFrom(7, 1000),
        async (strangers, who, scope, changes, capacity) => {
          // The mate is in the small gallery more often than by chance.
          const mate = { ...strangers[who], galleries: scope, instances: [true, true, true, true], isExpunged: false };
          const people = who > 0 ? strangers.with(who, mate) : strangers;
          const gallery = new Gallery(gallerySizing(capacity));
          fill(gallery, people);
          // During a search, too: the view has been taken by then.
          const compaction = new Compactor({ current: gallery }, (error) => expect.fail(String(error)), 0).run();
          const request = { ...changes, probes: probes[who], scope: named(scope) };
          const [list, scan] = await Promise.all([
            search(gallery, new ScopeList(pool), request),
            search(gallery, new ExactScan(pool), request),
          ]);
          expect(list).toEqual(scan);
          expect(list.searchedFraction).toBe(1);
          // Only the scope was compared, by the scan as well.
          const references = people.reduce((sum, { instances, galleries, isExpunged, searchedUntilMs }) => {
            const isOut = isExpunged || !galleries.some((name) => scope.includes(name));
            if (isOut || (searchedUntilMs ?? Infinity) <= changes.instantMs) return sum;
            return sum + instances.filter(Boolean).length;
          }, 0);
          for (const count of list.compared) expect(count).toBeLessThanOrEqual(references);
          const indexed = await search(gallery, new IndexedScan(pool), request);
          expect(indexed.candidates).toEqual(scan.candidates);
          found += list.candidates.length;
          await compaction;
        },
      ),
      { numRuns: 60 },
    );
    expect(found).toBeGreaterThan(20);
  }, 60_000);

  it('is searched by list when small in the store, whether or not an exact search is requested', () => {
    const gallery = new Gallery(gallerySizing(1000));
    const add = (from: number, to: number, name: string) => {
      for (let i = from; i < to; i++) {
        const attributes = subjectAttributes({ galleries: new Set([name]) });
        const partition = { modality: 'finger', position: 2 } as const;
        const packed = packedFingers[i % PEOPLE][1];
        gallery.load(`s${i}`, attributes, [{ referenceId: `r${i}`, partition, packed }]);
      }
    };
    add(0, MAX_LISTED + 1, 'large');
    add(MAX_LISTED + 1, MAX_LISTED + 3, 'two');
    const planner = new Planner(pool);
    const choose = (galleries: readonly string[], exact: boolean) => {
      const view = new SearchView(gallery, probes[0], named(galleries));
      try {
        return planner.choose(probes[0], view, exact);
      } finally {
        view.close();
      }
    };
    for (const exact of [true, false]) {
      expect(choose(['two'], exact)).toBeInstanceOf(ScopeList);
      expect(choose(['two', 'nobody'], exact)).toBeInstanceOf(ScopeList);
      expect(choose(['large'], exact)).toBeInstanceOf(ExactScan);
      expect(choose(['large', 'two'], exact)).toBeInstanceOf(ExactScan);
      expect(choose([], exact)).toBeInstanceOf(ExactScan);
    }
    // It is listed again once it is small.
    for (let i = 0; i < MAX_LISTED / 2 + 1; i++)
      gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `s${i}` });
    expect(gallery.listed(named(['large']), 0)).toHaveLength(MAX_LISTED / 2);
  });

  it('returns a partial answer at the deadline, and compares found subjects with all samples', async () => {
    const gallery = new Gallery(gallerySizing(1000));
    const everything = { instances: [true, true, true, true], isExpunged: false, searchedUntilMs: undefined };
    fill(
      gallery,
      Array.from({ length: PEOPLE }, () => ({ ...everything, galleries: ['x'] })),
    );
    const request = { scope: named(['x']) };
    expect(await search(gallery, new ScopeList(pool), { ...request, scanUntilMs: Date.now() - 1 })).toMatchObject({
      candidates: [],
      searchedFraction: 0,
      emptyScope: undefined,
    });
    const source = new ScopeList(pool);
    const propose = source.propose.bind(source);
    source.propose = (some, most, run) => {
      const compare = pool.compare.bind(pool);
      let tasks = 0;
      pool.compare = (task, segments) =>
        compare(task, segments).finally(() => {
          if (++tasks === 1) run.stop.raise(STOP.scan);
        });
      return propose(some, most, run).finally(() => (pool.compare = compare));
    };
    const partial = await search(gallery, source, request);
    expect(partial.searchedFraction).toBeGreaterThan(0);
    expect(partial.searchedFraction).toBeLessThan(1);
    expect(partial.candidates[0]?.subject.subjectId).toBe('p0');
    expect(partial.candidates[0]?.scores).toHaveLength(probes[0].length);
  });
});
