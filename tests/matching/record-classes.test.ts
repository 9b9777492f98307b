/**
 * What a caller gets that may not search some record classes: exactly the answers of a gallery in which their subjects
 * were never enrolled.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { named } from '../named-scope.ts';
import type { SubjectAttributes } from '../../src/gallery/catalogue.ts';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import { Gallery, type SearchableReference } from '../../src/gallery/gallery.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import { Failure } from '../../src/failure.ts';
import { packFace } from '../../src/matching/kernels/packed-probe.ts';
import { ReferenceEncoder } from '../../src/matching/kernels/reference-encoder.ts';
import { AdmissionQueue } from '../../src/matching/search/admission.ts';
import type { CandidateSource } from '../../src/matching/search/candidate-source.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { GraphSearch } from '../../src/matching/search/graph-search.ts';
import { identify, type SearchRequest, type SearchResult } from '../../src/matching/search/identification.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { prepareProbes, type Probe, type SampleTemplate } from '../../src/matching/search/probe.ts';
import { ScopeList } from '../../src/matching/search/scope-list.ts';
import { SearchView } from '../../src/matching/search/search-view.ts';
import { Searcher, type Verified } from '../../src/matching/search/searcher.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { STOP } from '../../src/matching/workers/stop-signal.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import type { FaceTemplate } from '../../src/templates/face-template.ts';
import type { FingerPosition, FingerTemplate } from '../../src/templates/finger-template.ts';
import { random, secondImpression, somePrint } from '../prints.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { ExactNeighbours } from './exact-neighbours.ts';

const PEOPLE = 60;
/** People of whom there are probes. */
const SOUGHT = 6;
const POSITIONS = [0, 2, 7] as const;
const FACES = { modality: 'face', modelId: 'm', dimension: 64 } as const;
/** What the clock says, among the expiries. */
const NOW = 7;
/** Lists so short that their lengths, and what they are lists of, decide what is found. */
const SHORT = { min: 6, perCandidate: 1, share: 0.2, ranked: 1 };

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

/** The last people are the first ones, enrolled from another capture. */
const TWICE = 10;
const enrolledPrint = (person: number, position: FingerPosition): FingerTemplate => {
  const first = person - (PEOPLE - TWICE);
  return first < 0 ? print(person, position) : secondImpression(print(first, position), person, 10, 0.5);
};
const packedFingers = Array.from({ length: PEOPLE }, (_, person) =>
  POSITIONS.map((position) => encoder.encode(enrolledPrint(person, position))),
);
const packedFaces = Array.from({ length: PEOPLE }, (_, person) => packFace(face(person, 0)));

/** What a policy may decide by. */
const CLASSES = (['a', 'b'] as const).flatMap((contributor) =>
  [[], ['X'], ['X', 'Y']].map((caveats) => ({ contributor, caveats, provenance: 'synthetic' }) as const),
);
const classOf = ({ contributor, caveats }: Pick<SubjectAttributes, 'contributor' | 'caveats'>) =>
  CLASSES.findIndex((one) => one.contributor === contributor && one.caveats.length === caveats.length);

/** A mask of a gallery's classes, by their places in CLASSES. */
const maskOf = (gallery: Gallery, allowed: readonly number[]) =>
  new ClassMask(gallery.classes, (recordClass) => allowed.includes(classOf(recordClass)));

interface Drawn {
  readonly instances: readonly boolean[];
  readonly galleries: readonly string[];
  readonly untilMs: number | undefined;
  /** Place in CLASSES; those before are changed to the last. */
  readonly classes: readonly number[];
  readonly isExpunged: boolean;
}

const MOSTLY = fc.integer({ min: 0, max: 2 }).map((n) => n > 0);
const person: fc.Arbitrary<Drawn> = fc.record({
  instances: fc.tuple(MOSTLY, MOSTLY, MOSTLY, MOSTLY),
  galleries: fc.subarray(['x', 'y', 'z'], { minLength: 1 }),
  untilMs: fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined, freq: 3 }),
  classes: fc.array(fc.nat(CLASSES.length - 1), { minLength: 1, maxLength: 2 }),
  isExpunged: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

function referencesOf(who: number, instances: readonly boolean[]): SearchableReference[] {
  const fingers = POSITIONS.flatMap((position, p): SearchableReference[] => {
    const partition = { modality: 'finger', position } as const;
    return instances[p] ? [{ referenceId: `p${who}-${position}`, partition, packed: packedFingers[who][p] }] : [];
  });
  if (!instances[3]) return fingers;
  return [...fingers, { referenceId: `p${who}-face`, partition: FACES, packed: packedFaces[who] }];
}

function put(gallery: Gallery, who: number, drawn: Drawn, recordClass: number): void {
  const { galleries, untilMs } = drawn;
  const attributes = subjectAttributes({
    ...CLASSES[recordClass],
    galleries: new Set(galleries),
    searchedUntilMs: untilMs,
  });
  const references = referencesOf(who, drawn.instances);
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId: `p${who}`, attributes, references });
}

/** Everybody: with changes of class, and expunged subjects. */
function wholeGallery(people: readonly Drawn[], capacity: number): Gallery {
  const gallery = new Gallery(gallerySizing(capacity), () => NOW);
  people.forEach((drawn, who) => put(gallery, who, drawn, drawn.classes[0]));
  people.forEach((drawn, who) => {
    if (drawn.classes.length > 1) put(gallery, who, drawn, drawn.classes[1]);
    if (drawn.isExpunged) gallery.apply(gallery.version + 1, { kind: 'expunge', subjectId: `p${who}` });
  });
  return gallery;
}

/** Only those of some classes, enrolled once. */
function partOf(people: readonly Drawn[], allowed: readonly number[], capacity: number): Gallery {
  const gallery = new Gallery(gallerySizing(capacity), () => NOW);
  people.forEach((drawn, who) => {
    const recordClass = drawn.classes[drawn.classes.length - 1];
    if (allowed.includes(recordClass) && !drawn.isExpunged) put(gallery, who, drawn, recordClass);
  });
  return gallery;
}

/** All that a caller may learn from a result, but the number of the last change. */
function said(result: SearchResult) {
  const { galleryVersion, candidates, ...rest } = result;
  expect(galleryVersion).toBeGreaterThanOrEqual(0);
  return {
    ...rest,
    candidates: candidates.map(({ subject, scores, ...candidate }) => ({
      ...candidate,
      subject: [subject.subjectId, subject.attributes],
      scores: scores.map(({ probe, ...score }) => ({ ...score, sample: probe.sampleIndex })),
    })),
  };
}

describe('a caller that may not search some record classes', () => {
  const pools: WorkerPool[] = [];
  const samples: SampleTemplate[][] = [];
  const probes: Probe[][] = [];
  beforeAll(async () => {
    pools.push(new WorkerPool(1), new WorkerPool(2));
    for (let who = 0; who < SOUGHT; who++) {
      const fingers = POSITIONS.slice(who % 3, who === 4 ? 2 : 3).map((position, i) => ({
        sampleIndex: i,
        viewIndex: 0,
        template: secondImpression(print(who, position), who, 20),
      }));
      const faces = who % 2 === 0 ? [{ sampleIndex: 9, viewIndex: 0, template: face(who, 1) }] : [];
      samples.push(who === 2 ? faces : [...fingers, ...faces]);
      probes.push(await prepareProbes(pools[0], samples[who]));
    }
  });
  afterAll(() => Promise.all(pools.map((pool) => pool.close())));

  const search = (gallery: Gallery, source: CandidateSource, pool: WorkerPool, request: SearchRequest) =>
    identify(gallery, () => source, pool, request, new AbortController().signal);

  it('gets the answers of a gallery without their subjects, from every source and in batches', async () => {
    const met = { searches: 0, masked: 0, candidates: 0, early: 0, indexed: 0, listed: 0, emptyPartitions: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(person, { minLength: PEOPLE, maxLength: PEOPLE }),
        fc.subarray([...CLASSES.keys()]),
        fc.subarray(['x', 'y', 'z', 'nobody']),
        fc.record({
          maxCandidates: fc.constantFrom(1, 3, 100),
          threshold: fc.constantFrom({ maxLog10Fmr: 0 }, { maxLog10Fmr: -2 }, { targetFpir: 0.1 }),
          instantMs: fc.nat(20),
        }),
        fc.constantFrom(7, 1000),
        fc.nat(1),
        async (people, allowed, galleries, rules, capacity, threads) => {
          const pool = pools[threads];
          const [whole, part] = [wholeGallery(people, capacity), partOf(people, allowed, capacity)];
          const scope = { galleries: new Set(galleries), classes: maskOf(whole, allowed) };
          const without = { galleries: new Set(galleries), classes: undefined };
          const isMasked = whole.masks(scope.classes);
          if (isMasked) met.masked++;
          // Without masked subjects the lists follow from all ordinals, as ever, also those of expunged subjects.
          const areEqual = isMasked || people.every(({ isExpunged }) => !isExpunged);
          const neighbours = new ExactNeighbours();
          const codes = new IndexedScan(pool, SHORT);
          const sources: readonly CandidateSource[] = [
            new ExactScan(pool),
            ...(areEqual ? [codes, new IndexedScan(pool)] : []),
            ...(galleries.length === 0 ? [] : [new ScopeList(pool)]),
            ...(isMasked ? [new GraphSearch(pool, neighbours, undefined, codes)] : []),
          ];
          // Graphs are not asked: the answer is the one by codes.
          const instead = (source: CandidateSource) => (source instanceof GraphSearch ? codes : source);
          await Promise.all(
            sources.flatMap((source) =>
              probes.map(async (own, who) => {
                const early: SearchResult[][] = [[], []];
                const request = (s: number) => ({
                  ...{ probes: own, standardFpir: 0.01, scope: s === 0 ? scope : without, ...rules },
                  firstHit: {
                    quick: () => undefined,
                    found: (list: SearchResult) => {
                      early[s].push(list);
                      return who === 1;
                    },
                  },
                });
                const [masked, expected] = await Promise.all([
                  search(whole, source, pool, request(0)),
                  search(part, instead(source), pool, request(1)),
                ]);
                const [got, due] = [said(masked), said(expected)];
                if (!areEqual) due.inScope = got.inScope;
                expect(got).toEqual(due);
                expect(early[0].map(said)).toEqual(early[1].map(said));
                met.searches++;
                met.candidates += masked.candidates.length;
                met.early += early[0].length;
                if (masked.mode === 'indexed') met.indexed++;
                if (source instanceof ScopeList) met.listed++;
                if (masked.emptyScope !== undefined) met.emptyPartitions++;
              }),
            ),
          );
          expect(neighbours.asked).toEqual([]);
          expect(whole.subjectsInScope(scope, rules.instantMs)).toBe(part.subjectsInScope(without, rules.instantMs));
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
    // Otherwise the test would prove little.
    for (const count of Object.values(met)) expect(count).toBeGreaterThan(10);
  }, 60_000);

  const searcherOf = (gallery: Gallery, quarantine = new Quarantine()) => {
    const served = { current: gallery };
    const [pool] = pools;
    const none = () => undefined;
    const audit = new IndexAudit(0, 0.999, served, pool, () => Promise.resolve(), none);
    const parts = { served, planner: new Planner(pool), audit, pool, quarantine, targetFpir: 0.01 };
    return new Searcher({ ...parts, admission: new AdmissionQueue(4, 1000) });
  };
  const patience = { signal: new AbortController().signal, deadlineMs: Infinity };
  /** What was answered or refused. */
  const settled = <T>(answer: Promise<T>) =>
    answer.catch((error: unknown) => {
      if (!(error instanceof Failure)) throw error;
      return [error.kind, error.reason, error.message, error.detail] as const;
    });

  it('knows the others neither in comparisons with a subject nor as duplicates', async () => {
    const met = { verified: 0, refused: 0, duplicates: 0, gone: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(person, { minLength: PEOPLE, maxLength: PEOPLE }),
        fc.subarray([...CLASSES.keys()], { minLength: 1, maxLength: CLASSES.length - 1 }),
        fc.subarray(['x', 'y']),
        async (drawn, allowed, galleries) => {
          const people = drawn.map((one, who) => ({
            ...(drawn[who - (PEOPLE - TWICE)] ?? one),
            instances: one.instances,
          }));
          const [whole, part] = [wholeGallery(people, 1000), partOf(people, allowed, 1000)];
          const mask = maskOf(whole, allowed);
          // Everybody has a damaged reference: of a masked subject this says nothing, either.
          const quarantineOf = (gallery: Gallery) => {
            const quarantine = new Quarantine();
            for (let who = 0; who < PEOPLE; who++) {
              const subjectId = `p${who}`;
              if (gallery.subject(subjectId) === undefined) continue;
              quarantine.set(subjectId, [{ subjectId, referenceId: `p${who}-lost`, reason: 'ROW_INVALID' }]);
            }
            return quarantine;
          };
          const [asked, other] = [whole, part].map((gallery) => searcherOf(gallery, quarantineOf(gallery)));
          const scope = { galleries: new Set(galleries), classes: mask };
          const without = { ...scope, classes: undefined };
          const rest = { maxDuplicates: 3, threshold: { maxLog10Fmr: 0 } };
          await Promise.all(
            [...Array(SOUGHT).keys(), 11, 51, 52].map(async (who) => {
              const verify = { samples: samples[who % SOUGHT], claim: { subjectId: `p${who}` }, explain: false };
              const toSaid = ({ result, modelVersions }: Verified) => ({
                ...{ ...result, galleryVersion: 0 },
                scores: result.scores.map(({ probe, ...score }) => ({ ...score, sample: probe.sampleIndex })),
                modelVersions,
              });
              const [got, due] = await Promise.all([
                settled(
                  asked.verify({ ...verify, scope: { galleries: new Set(), classes: mask } }, patience).then(toSaid),
                ),
                settled(other.verify({ ...verify, scope: named([]) }, patience).then(toSaid)),
              ]);
              expect(got).toEqual(due);
              if (Array.isArray(got)) met.refused++;
              else met.verified++;
              const [found, expected] = await Promise.all([
                asked.duplicatesOf(`p${who}`, { ...rest, scope }, patience),
                other.duplicatesOf(`p${who}`, { ...rest, scope: without }, patience),
              ]);
              const toPairs = (answer: typeof found) =>
                typeof answer === 'string'
                  ? answer
                  : [answer.mode, answer.truncated, answer.duplicates.map((one) => [one.subject.subjectId, one.fpir])];
              expect(toPairs(found)).toEqual(toPairs(expected));
              if (found === 'gone') met.gone++;
              else if (typeof found === 'object') met.duplicates += found.duplicates.length;
            }),
          );
          const query = { maxCandidates: 10, threshold: undefined, isExact: true, explain: false };
          const how = { ...query, allowPartial: false, firstHit: false };
          // All galleries of the query are known to both.
          const known = galleries.filter((name) => part.knows(name));
          const [answer, expected] = await Promise.all([
            asked.identify({ ...how, samples: samples[1], galleries: known, classes: mask }, patience),
            other.identify({ ...how, samples: samples[1], galleries: known, classes: undefined }, patience),
          ]);
          expect(said(answer.result)).toEqual(said(expected.result));
          expect(answer.damagedReferences).toBe(expected.damagedReferences);
        },
      ),
      { numRuns: 30, endOnFailure: true },
    );
    for (const count of Object.values(met)) expect(count).toBeGreaterThan(10);
  }, 60_000);

  it('gets the same answer, in one turn and with the same figures of the index, where others are searched unshown', async () => {
    const all = { instances: [true, true, true, true], galleries: ['x'], untilMs: undefined, isExpunged: false };
    const gallery = wholeGallery(
      Array.from({ length: PEOPLE }, (_, who) => ({ ...all, classes: [who % 2] })),
      1000,
    );
    const [pool] = pools;
    const served = { current: gallery };
    const audit = new IndexAudit(0, 0.999, served, pool, () => Promise.resolve(), vi.fn());
    const note = vi.spyOn(audit, 'note');
    const planner = new Planner(pool);
    vi.spyOn(planner, 'choose').mockImplementation(() => new IndexedScan(pool, SHORT));
    const parts = { served, planner, audit, pool, quarantine: new Quarantine(), targetFpir: 0.01 };
    const searcher = new Searcher({ ...parts, admission: new AdmissionQueue(1, 0) });
    const [shown, others] = [maskOf(gallery, [0]), maskOf(gallery, [1])];
    const query = {
      ...{ samples: samples[1], galleries: ['x'], maxCandidates: 10, threshold: undefined },
      ...{ isExact: false, explain: false, allowPartial: false, firstHit: false },
    };
    const apart = await searcher.identify({ ...query, classes: shown }, patience);
    const unshown = await searcher.identify({ ...query, classes: others, maxCandidates: 100 }, patience);
    expect(unshown.result.candidates.map(({ subject }) => subject.subjectId)).toContain('p1');
    note.mockClear();
    const both = await searcher.identify({ ...query, classes: shown, unshown: { classes: others } }, patience);
    expect(said(both.result)).toEqual(said(apart.result));
    expect(both.unshown && said(both.unshown)).toEqual(said(unshown.result));
    expect(note.mock.calls.map(([request]) => request.scope.classes)).toEqual([shown]);
    vi.restoreAllMocks();
  });

  it('learns from a stopped search no number of references', async () => {
    const drawn = { galleries: ['x'], untilMs: undefined, instances: [true, true, true, true], isExpunged: false };
    const people = Array.from({ length: PEOPLE }, (_, who) => ({ ...drawn, classes: [who % CLASSES.length] }));
    const gallery = wholeGallery(people, 7);
    const [pool] = pools;
    const stopping = (source: CandidateSource) => {
      let tasks = 0;
      const note = (run: Parameters<CandidateSource['propose']>[2]) => (++tasks === 5 ? run.stop.raise(STOP.scan) : 0);
      const propose = source.propose.bind(source);
      source.propose = (some, target, run) => {
        const [scan, codes] = [pool.scan.bind(pool), pool.scanCodes.bind(pool)];
        pool.scan = (...task) => scan(...task).finally(() => note(run));
        pool.scanCodes = (...task) => codes(...task).finally(() => note(run));
        return propose(some, target, run).finally(() => Object.assign(pool, { scan, scanCodes: codes }));
      };
      return source;
    };
    const scope = { galleries: new Set<string>(), classes: maskOf(gallery, [0, 3]) };
    const request = { probes: probes[3], scope, maxCandidates: 10, threshold: { maxLog10Fmr: 0 }, standardFpir: 0.01 };
    const partial = await search(gallery, stopping(new ExactScan(pool)), pool, request);
    expect(partial.searchedFraction).toBeGreaterThan(0);
    expect(partial.searchedFraction).toBeLessThan(1);
    expect(partial.searchedFraction * 100).toBe(Math.round(partial.searchedFraction * 100));
    // Of two classes of six. The finger of unknown position is compared with all three.
    expect(partial.inScope).toEqual([PEOPLE, (2 * PEOPLE) / 3, (2 * PEOPLE) / 3]);
  });

  it('gets lists of references where a gallery without masked subjects gives these, though some have expired', async () => {
    const drawn = { galleries: ['x'], instances: [true, true, true, false], isExpunged: false };
    const people = Array.from({ length: PEOPLE }, (_, who): Drawn => {
      const isDenied = who % 3 === 0;
      return { ...drawn, classes: [isDenied ? 1 : 0], untilMs: isDenied ? NOW : undefined };
    });
    const [whole, part] = [wholeGallery(people, 1000), partOf(people, [0], 1000)];
    const [pool] = pools;
    const codes = new IndexedScan(pool, SHORT);
    const penetrations = new Set<number>();
    for (let who = 0; who < 20; who++) {
      const template = secondImpression(print(who, 2), who, 20);
      // One finger, compared with two of each subject: those of its position and of unknown position.
      const own = await prepareProbes(pool, [{ sampleIndex: 0, viewIndex: 0, template }]);
      const rules = { probes: own, maxCandidates: 10, threshold: { maxLog10Fmr: 0 }, standardFpir: 0.01 };
      const of = (classes: ClassMask | undefined) => ({ ...rules, scope: { galleries: new Set<string>(), classes } });
      const [masked, expected] = [
        await search(whole, codes, pool, of(maskOf(whole, [0]))),
        await search(part, codes, pool, of(undefined)),
      ];
      expect(said(masked)).toEqual(said(expected));
      penetrations.add(masked.penetration);
    }
    // Two references of the list may be one subject's: a list of subjects would always be as long.
    expect(penetrations.size).toBeGreaterThan(1);
  });

  it('is not served by graphs, as soon as a subject is masked', () => {
    const drawn = { galleries: ['x'], untilMs: undefined, instances: [true, true, true, true], isExpunged: false };
    const people = Array.from({ length: PEOPLE }, (_, who) => ({ ...drawn, classes: [who === 7 ? 1 : 0] }));
    const gallery = wholeGallery(people, 1000);
    const graph = new GraphSearch(pools[0], new ExactNeighbours());
    const costFor = (allowed: readonly number[]) => {
      const scope = { galleries: new Set<string>(), classes: maskOf(gallery, allowed) };
      const view = new SearchView(gallery, probes[0], scope);
      const cost = graph.expectedMs(probes[0], view);
      view.close();
      return cost;
    };
    expect(costFor([0, 1])).toBeLessThan(Infinity);
    expect(costFor([0])).toBe(Infinity);
  });

  it('cannot use the mask of other galleries', () => {
    const [one, other] = [new Gallery(gallerySizing(7)), new Gallery(gallerySizing(7))];
    const scope = { galleries: new Set<string>(), classes: maskOf(other, []) };
    expect(() => new SearchView(one, probes[0], scope)).toThrow(RangeError);
  });
});
