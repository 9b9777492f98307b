/**
 * Search results while the clock jumps both ways and everything else changes, compared with a plain model that keeps
 * every version. Two galleries; expiries are set, moved and removed; expunging, compaction, and galleries that are
 * reloaded and catch up.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChangeFollower, type ChangeSource } from '../../src/gallery/change-follower.ts';
import { contentHash } from '../../src/gallery/content-hash.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { Compactor } from '../../src/gallery/compactor.ts';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { identify, type SearchRequest, type SearchResult } from '../../src/matching/search/identification.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { prepareProbes, type Probe } from '../../src/matching/search/probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { ScopeList } from '../../src/matching/search/scope-list.ts';
import type { SearchView } from '../../src/matching/search/search-view.ts';

import { verifySubject } from '../../src/matching/search/verification.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { UNLIMITED, type Change, type SubjectsRead, type SubjectWithReferences } from '../../src/store/records.ts';
import { encodeIso197942 } from '../../src/templates/iso-19794-2-2005.ts';
import { toFingerTemplate } from '../../src/templates/normalise.ts';
import { createPerson } from '../../fixtures/person.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { named } from '../named-scope.ts';

const PEOPLE = 12;
const LATEST = 20;
const GALLERIES = ['a', 'b'] as const;
const PARTITION = { modality: 'finger', position: 2 } as const;

interface Known {
  /** Ids are never reused, not even when an expunged subject is enrolled again. */
  readonly referenceId: string;
  readonly galleries: ReadonlySet<string>;
  readonly searchedUntilMs: number | undefined;
  readonly version: number;
}
type Model = ReadonlyMap<string, Known>;

const captured = (person: number, capture: number) => createPerson(0xe4b1, person).fingerImpression(2, capture);
const encoder = new ReferenceEncoder();
const records = Array.from({ length: PEOPLE }, (_, person) => encodeIso197942(captured(person, 0)));
const packed = Array.from({ length: PEOPLE }, (_, person) => {
  const record = captured(person, 0);
  return encoder.encode(toFingerTemplate(record, record.views[0])) as Uint8Array;
});

const person = fc.nat(PEOPLE - 1);
const instant = fc.nat(LATEST);
const searchedUntilMs = fc.option(instant, { nil: undefined, freq: 4 });
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('enrol' as const),
      person,
      searchedUntilMs,
      galleries: fc.subarray([...GALLERIES]),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('expire' as const), person, searchedUntilMs }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expunge' as const), person }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('clock' as const), instant }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('search' as const),
      person,
      way: fc.constantFrom('exact', 'indexed', 'listed', 'partial'),
      scope: fc.subarray([...GALLERIES, 'nobody']),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('verify' as const), person }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('load' as const), back: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rewrite' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('breathe' as const), turns: fc.integer({ min: 1, max: 8 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type SearchStep = Extract<Step, { kind: 'search' }>;

/** A store as the follower sees one, with all its versions. */
class World implements ChangeSource {
  now = 0;
  searchesUnderWay = 0;
  readonly versions: Model[] = [new Map()];
  readonly served = new ActiveGallery(gallerySizing(5), () => this.now);
  readonly follower = new ChangeFollower(this.served, this, (templates) =>
    Promise.resolve(
      templates.map((template) => (template.modality === 'finger' ? encoder.encode(template) : undefined)),
    ),
  );
  readonly compactor = new Compactor(this.served, (error) => expect.fail(String(error)), 0);
  readonly #changes: Change[] = [];

  get gallery(): Gallery {
    return this.served.current;
  }

  get model(): Model {
    return this.versions[this.versions.length - 1];
  }

  async change(who: number, known: Known | undefined): Promise<void> {
    const subjectId = String(who);
    const after = new Map(this.model);
    if (known === undefined) after.delete(subjectId);
    else after.set(subjectId, known);
    this.versions.push(after);
    const seq = this.versions.length - 1;
    this.#changes.push({ seq, kind: known === undefined ? 'expunge' : 'upsert', subjectId, version: seq });
    await this.follower.advanceTo(seq);
  }

  /** Loads like an index of an earlier version: segments, then their subjects, then later changes. */
  async load(back: number): Promise<void> {
    const version = Math.max(0, this.versions.length - 1 - back);
    const gallery = this.served.makeEmpty();
    const segment = gallery.adoptSegment(PARTITION, 10_000);
    [...this.versions[version]].forEach(([id, known], ordinal) => {
      // Segments hold five references: the rest arrives as changes.
      if (!segment.isOpen)
        return gallery.load(id, attributesOf(known), [{ ...referenceOf(known), packed: packed[Number(id)] }]);
      const index = segment.append(packed[Number(id)], ordinal);
      gallery.enter(id, attributesOf(known), [{ ...referenceOf(known), segment, index }]);
    });
    gallery.startAt(version);
    void this.follower.switchTo(gallery);
    await this.follower.advanceTo(this.versions.length - 1);
  }

  readChanges(after: number, limit: number): Promise<Change[]> {
    return Promise.resolve(this.#changes.slice(after, after + limit));
  }

  galleries(): Promise<string[]> {
    return Promise.resolve([...GALLERIES]);
  }

  readSubjects(ids: readonly string[]): Promise<SubjectsRead> {
    return Promise.resolve({ subjects: ids.flatMap((id) => storedAs(id, this.model.get(id)) ?? []), unreadable: [] });
  }

  snapshot(): Promise<never> {
    return Promise.reject(new Error('a gallery of this test is loaded otherwise'));
  }
}

function referenceOf({ referenceId }: Pick<Known, 'referenceId'>) {
  return { referenceId, partition: PARTITION };
}

function attributesOf({ galleries, searchedUntilMs: expiry, version }: Known) {
  return subjectAttributes({ galleries, searchedUntilMs: expiry, version });
}

function storedAs(subjectId: string, known: Known | undefined): SubjectWithReferences | undefined {
  if (known === undefined) return undefined;
  const { contributor, caveats, provenance } = subjectAttributes();
  const times = { createTime: new Date(0), updateTime: new Date(0) };
  const expireTime = known.searchedUntilMs === undefined ? undefined : new Date(known.searchedUntilMs);
  const galleries = [...known.galleries].sort();
  return {
    subject: {
      subjectId,
      version: known.version,
      contributor,
      externalId: undefined,
      galleries,
      caveats: [...caveats],
      provenance,
      ...UNLIMITED,
      expireTime,
      ...times,
    },
    references: [
      {
        referenceId: known.referenceId,
        subjectId,
        modality: 'finger',
        fingerPosition: 2,
        format: 'iso-19794-2-2005',
        storedFormat: 'iso-19794-2-2005',
        quality: 0,
        modelId: undefined,
        dimension: undefined,
        minutiaCount: 0,
        comparable: true,
        captureTime: undefined,
        template: records[Number(subjectId)],
      },
    ],
  };
}

const isFound = (known: Known | undefined, now: number, scope: ReadonlySet<string>) =>
  known !== undefined &&
  (known.searchedUntilMs === undefined || now < known.searchedUntilMs) &&
  (scope.size === 0 || [...known.galleries].some((name) => scope.has(name)));

const EVERYWHERE: ReadonlySet<string> = new Set();

describe('subjects with an expiry', () => {
  let pool: WorkerPool;
  const probes: Probe[][] = [];
  beforeAll(async () => {
    pool = new WorkerPool(2);
    for (let one = 0; one < PEOPLE; one++) {
      const record = captured(one, 1);
      const template = toFingerTemplate(record, record.views[0]);
      probes.push(await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template }]));
    }
  });
  afterAll(() => pool.close());

  const requestFor = (one: number, scope: readonly string[] = []): SearchRequest => ({
    probes: probes[one],
    scope: named(scope),
    maxCandidates: 100,
    threshold: { maxLog10Fmr: 0 },
    standardFpir: 0.01,
  });

  it('are found before their expiry and not after it, by the clock at the start of the search', async () => {
    const met = { searches: 0, masked: 0, jumped: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 70 }), async (steps) => {
        const world = new World();
        const answers: Promise<void>[] = [];
        for (const one of steps) await take(world, one, answers, met);
        await Promise.all(answers);
        await checkCounts(world);
      }),
      { numRuns: 60 },
    );
    // Otherwise the test would prove little.
    for (const count of Object.values(met)) expect(count).toBeGreaterThan(50);
  }, 60_000);

  async function take(
    world: World,
    one: Step,
    answers: Promise<void>[],
    met: { searches: number; masked: number; jumped: number },
  ) {
    switch (one.kind) {
      case 'enrol': {
        const galleries = one.galleries.length === 0 ? [GALLERIES[0]] : one.galleries;
        const version = world.versions.length;
        const referenceId = world.model.get(String(one.person))?.referenceId ?? `r${version}`;
        const { searchedUntilMs: expiry } = one;
        return world.change(one.person, {
          referenceId,
          galleries: new Set(galleries),
          searchedUntilMs: expiry,
          version,
        });
      }
      case 'expire': {
        const known = world.model.get(String(one.person));
        if (known === undefined) return;
        return world.change(one.person, {
          ...known,
          searchedUntilMs: one.searchedUntilMs,
          version: world.versions.length,
        });
      }
      case 'expunge':
        return world.change(one.person, undefined);
      case 'clock':
        world.now = one.instant;
        return;
      case 'load':
        return world.load(one.back);
      case 'rewrite':
        void world.compactor.run();
        return;
      case 'breathe':
        for (let turn = 0; turn < one.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        return;
      case 'verify': {
        const { gallery, now } = world;
        const result = await verifySubject(gallery, pool, probes[one.person], String(one.person), named([]));
        expect(result !== undefined).toBe(isFound(world.model.get(String(one.person)), now, EVERYWHERE));
        return;
      }
      case 'search': {
        const { now, gallery } = world;
        // Searches that began before a subject left a gallery still read it there. Until they end, all searches do.
        const isAlone = world.searchesUnderWay++ === 0;
        met.searches++;
        if ([...world.model.values()].some((known) => !isFound(known, now, EVERYWHERE))) met.masked++;
        const request = {
          ...requestFor(one.person, one.scope),
          ...(one.way === 'partial' && { scanUntilMs: Date.now() + 1 }),
        };
        const search = identify(gallery, waysOf(one), pool, request, new AbortController().signal);
        answers.push(
          search.then((result) => {
            world.searchesUnderWay--;
            if (world.now !== now) met.jumped++;
            check(result, world, one, now, isAlone);
          }),
        );
      }
    }
  }

  function waysOf({ way, scope }: SearchStep) {
    return (view: SearchView) => {
      if (scope.length > 0) expect(view.listed).toBeDefined();
      if (way === 'listed' && view.listed !== undefined) return new ScopeList(pool);
      return way === 'indexed' ? new IndexedScan(pool) : new ExactScan(pool);
    };
  }

  function check(result: SearchResult, { versions }: World, one: SearchStep, now: number, isAlone: boolean): void {
    const scope = new Set(one.scope);
    const since = versions.slice(result.galleryVersion);
    const found = (model: Model) => [...model].filter(([, known]) => isFound(known, now, scope)).map(([id]) => id);
    expect(result.subjectsSearched).toBe(found(since[0]).length);
    expect(result.emptyScope === 'no-subject').toBe(result.subjectsSearched === 0);
    const ids = result.candidates.map(({ subject }) => subject.subjectId);
    for (const id of ids) expect(since.some((model) => found(model).includes(id))).toBe(true);
    const sought = String(one.person);
    const stayed = since.every((model) => found(model).includes(sought));
    if (stayed && result.searchedFraction === 1) expect(ids[0]).toBe(sought);
    if (!since.some((model) => found(model).includes(sought))) expect(ids).not.toContain(sought);
    if (isAlone && since.length === 1 && result.mode === 'exact' && result.searchedFraction === 1)
      expect(result.compared).toEqual([result.subjectsSearched]);
  }

  /** Counts at any instant follow from the model alone, and a rebuilt gallery gives equal counts. */
  async function checkCounts(world: World): Promise<void> {
    await world.compactor.run();
    const { gallery, model } = world;
    const fresh = world.served.makeEmpty();
    for (const [id, known] of model)
      fresh.load(id, attributesOf(known), [{ ...referenceOf(known), packed: packed[Number(id)] }]);
    fresh.startAt(gallery.version);
    const hashes = new Map<number, string>();
    for (const now of [LATEST, 0, LATEST + 1, 7, 0, LATEST]) {
      world.now = now;
      const count = (scope: readonly string[]) =>
        [...model.values()].filter((known) => isFound(known, now, new Set(scope))).length;
      for (const scope of [[], ['a'], ['b'], ['a', 'b'], ['nobody'], ['b', 'nobody']])
        expect(gallery.subjectsInScope(named(scope))).toBe(count(scope));
      expect(gallery.subjectCount).toBe(count([]));
      expect(gallery.gallerySizes.filter(([, size]) => size > 0)).toEqual(
        GALLERIES.map((name) => [name, count([name])] as const).filter(([, size]) => size > 0),
      );
      const [live, expired] = [count([]), model.size - count([])];
      expect(gallery.partitionCounts.reduce((sum, { liveCount }) => sum + liveCount, 0)).toBe(live);
      expect(gallery.partitionCounts.reduce((sum, { expiredCount }) => sum + expiredCount, 0)).toBe(expired);
      const { hash, subjects } = await contentHash(gallery, {});
      expect([hash, subjects]).toEqual([(await contentHash(fresh, {})).hash, live]);
      expect(hash).toBe(hashes.get(now) ?? hash);
      hashes.set(now, hash);
    }
  }

  it('are the same for both searches of the audit, whatever the clock does in between', async () => {
    const instants = [1000, 2000];
    const served = new ActiveGallery(gallerySizing(5), () => instants.shift() ?? 3000);
    const attributes = subjectAttributes({ searchedUntilMs: 1500 });
    served.current.load('0', attributes, [{ ...referenceOf({ referenceId: 'r' }), packed: packed[0] }]);
    const audit = new IndexAudit(
      1,
      0.999,
      served,
      pool,
      () => Promise.resolve(),
      (error) => expect.fail(String(error)),
    );
    audit.note({ ...requestFor(0), standardFpir: 0.01 }, new IndexedScan(pool));
    await audit.settled();
    expect(audit.figures).toMatchObject({ searches: 1, candidates: 1, missed: 0 });
  });
});
