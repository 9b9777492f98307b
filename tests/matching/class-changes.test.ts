/**
 * Searches of callers with masks while subjects change their record classes, compared with a plain model that keeps
 * every version.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import { ClassMask } from '../../src/gallery/class-mask.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { ExactScan } from '../../src/matching/search/exact-scan.ts';
import { identify, type SearchRequest, type SearchResult } from '../../src/matching/search/identification.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { IndexedScan } from '../../src/matching/search/indexed-scan.ts';
import type { Probe } from '../../src/matching/search/probe.ts';
import { verifySubject } from '../../src/matching/search/verification.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { enrol, probeOf } from './vector-people.ts';

const PEOPLE = 16;
/** Only these may not be searched. A new contributor is a new class, whether the caller may search it or not. */
const isDenied = (contributor: string) => contributor.startsWith('secret');

/** The contributor of each person; undefined: not enrolled. */
type Model = readonly (string | undefined)[];

const person = fc.nat(PEOPLE - 1);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('change' as const), person, secret: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('expunge' as const), person }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('search' as const), person, isExact: fc.boolean(), mask: fc.nat(1) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('load' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('breathe' as const), turns: fc.integer({ min: 1, max: 6 }) }) },
);

function put(gallery: Gallery, who: number, contributor: string): void {
  enrol(gallery, who, 0, { contributor });
}

describe('record classes that change while searches run', () => {
  let pool: WorkerPool;
  let probes: Probe[];
  beforeAll(() => {
    pool = new WorkerPool(2);
    probes = Array.from({ length: PEOPLE }, (_, who) => probeOf(who));
  });
  afterAll(() => pool.close());

  const requestFor = (who: number, classes: ClassMask): SearchRequest => ({
    probes: [probes[who]],
    scope: { galleries: new Set(), classes },
    maxCandidates: 100,
    threshold: { maxLog10Fmr: 0 },
    standardFpir: 0.01,
  });

  it('hold when the list is made; who may always be searched is found, and who never may is not', async () => {
    const met = { searches: 0, overtaken: 0, vanished: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80 }), async (steps) => {
        const served = new ActiveGallery(gallerySizing(16));
        const asked = new Map<object, number>();
        const maskNow = () =>
          new ClassMask(served.classes, (recordClass) => {
            asked.set(recordClass, (asked.get(recordClass) ?? 0) + 1);
            return !isDenied(recordClass.contributor);
          });
        const masks = [maskNow(), maskNow()];
        const versions: Model[] = [Array.from({ length: PEOPLE }, () => undefined)];
        const now = () => versions[versions.length - 1];
        const answers: Promise<void>[] = [];
        const check = (result: SearchResult, who: number, since: number) => {
          const seen = versions.slice(since);
          const may = (model: Model, one: number) => {
            const contributor = model[one];
            return contributor !== undefined && !isDenied(contributor);
          };
          expect(result.subjectsSearched).toBe(seen[0].filter((_, one) => may(seen[0], one)).length);
          const ids = result.candidates.map(({ subject }) => subject.subjectId);
          // As of this moment: nothing has changed since the list was made.
          for (const id of ids) expect(may(now(), Number(id.slice(1)))).toBe(true);
          if (seen.every((model) => may(model, who))) expect(ids[0]).toBe(`p${who}`);
          if (!seen.some((model) => may(model, who))) expect(ids).not.toContain(`p${who}`);
          if (seen.length > 1) met.overtaken++;
          if (may(seen[0], who) && !may(now(), who)) met.vanished++;
        };
        for (const [at, one] of steps.entries()) {
          if (one.kind === 'breathe') {
            for (let turn = 0; turn < one.turns; turn++) await new Promise((resolve) => setImmediate(resolve));
          } else if (one.kind === 'search') {
            const source = one.isExact ? new ExactScan(pool) : new IndexedScan(pool);
            const request = requestFor(one.person, masks[one.mask]);
            const since = versions.length - 1;
            met.searches++;
            const search = identify(served.current, () => source, pool, request, new AbortController().signal);
            answers.push(search.then((result) => check(result, one.person, since)));
          } else if (one.kind === 'load') {
            const next = served.makeEmpty();
            now().forEach((contributor, who) => {
              if (contributor !== undefined) put(next, who, contributor);
            });
            next.startAt(served.current.version + PEOPLE);
            // Searches that began in the old gallery follow no more changes but expunging: they are not checked against these.
            await Promise.all(answers);
            void served.replace(next);
          } else {
            const changed = [...now()];
            changed[one.person] =
              one.kind === 'expunge' ? undefined : `${one.secret ? 'secret' : 'open'} ${one.person % 3} ${at}`;
            versions.push(changed);
            const contributor = changed[one.person];
            if (contributor !== undefined) put(served.current, one.person, contributor);
            else {
              const { current } = served;
              current.apply(current.version + 1, { kind: 'expunge', subjectId: `p${one.person}` });
            }
          }
        }
        await Promise.all(answers);
        // Ids are used again: there are no more classes than subjects, though nearly every change has made one.
        const classes = new Set(now().flatMap((contributor) => contributor ?? []));
        expect(served.classes.count).toBe(classes.size);
        expect(served.classes.end).toBeLessThanOrEqual(3 * PEOPLE);
        for (const times of asked.values()) expect(times).toBeLessThanOrEqual(masks.length);
      }),
      { numRuns: 40, endOnFailure: true },
    );
    for (const count of Object.values(met)) expect(count).toBeGreaterThan(5);
  }, 60_000);

  it('do not lose a mate that changes to a new class, even if it does so for every task of the search', async () => {
    const served = new ActiveGallery(gallerySizing(5));
    for (let who = 0; who < PEOPLE; who++) put(served.current, who, who % 2 === 0 ? 'open' : 'secret');
    const mask = new ClassMask(served.classes, ({ contributor }) => !isDenied(contributor));
    const scan = pool.scan.bind(pool);
    let changes = 0;
    pool.scan = (...task) => {
      put(served.current, 4, `open ${++changes}`);
      return scan(...task);
    };
    const source = new ExactScan(pool);
    const result = await identify(served.current, () => source, pool, requestFor(4, mask), AbortSignal.any([]));
    pool.scan = scan;
    expect(changes).toBeGreaterThan(2);
    expect(result.candidates[0]?.subject.subjectId).toBe('p4');
    expect(result).toMatchObject({ subjectsSearched: PEOPLE / 2, compared: [PEOPLE / 2] });
  });

  it('hide a subject from a comparison that runs, and from the audit of an index', async () => {
    const served = new ActiveGallery(gallerySizing(5));
    for (let who = 0; who < PEOPLE; who++) put(served.current, who, 'open');
    const mask = new ClassMask(served.classes, ({ contributor }) => !isDenied(contributor));
    const comparing = verifySubject(served.current, pool, [probes[3]], 'p3', { galleries: new Set(), classes: mask });
    put(served.current, 3, 'secret');
    expect(await comparing).toBeUndefined();
    put(served.current, 3, 'open');
    expect(
      await verifySubject(served.current, pool, [probes[3]], 'p3', { galleries: new Set(), classes: mask }),
    ).toMatchObject({ compared: [1] });

    const errors: unknown[] = [];
    const idle = () => Promise.resolve();
    const audit = new IndexAudit(1, 0.999, served, pool, idle, (error) => errors.push(error));
    const index = new IndexedScan(pool);
    const propose = index.propose.bind(index);
    let searches = 0;
    index.propose = async (...given) => {
      const proposal = await propose(...given);
      // The exact list has the mate already, and the one of the index will lack it.
      if (searches++ === 0) {
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
        put(served.current, 3, 'secret');
      }
      return proposal;
    };
    audit.note({ ...requestFor(3, mask), threshold: { maxLog10Fmr: 0 }, standardFpir: 0.5 }, index);
    await audit.settled();
    expect(errors).toEqual([]);
    expect(audit.figures).toMatchObject({ searches: 1, candidates: 0, missed: 0 });
  });
});
