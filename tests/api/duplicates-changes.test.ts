/** Duplicates while the gallery changes, is replaced, or has no time left. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { findDuplicates, listTurns, type DuplicateDependencies } from '../../src/api/duplicates.ts';
import type { CallContext } from '../../src/api/call.ts';
import {
  FindDuplicatesResponse,
  type FindDuplicatesRequest,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../../src/failure.ts';
import { ActiveGallery } from '../../src/gallery/active-gallery.ts';
import type { RecordFacts } from '../../src/access/grant.ts';
import type { Gallery } from '../../src/gallery/gallery.ts';
import { Quarantine } from '../../src/gallery/quarantine.ts';
import { AdmissionQueue } from '../../src/matching/search/admission.ts';
import { IndexAudit } from '../../src/matching/search/index-audit.ts';
import { Planner } from '../../src/matching/search/planner.ts';
import { Searcher } from '../../src/matching/search/searcher.ts';
import { gallerySizing } from '../../src/matching/workers/gallery-sizing.ts';
import { WorkerPool } from '../../src/matching/workers/worker-pool.ts';
import { subjectAttributes } from '../subject-attributes.ts';
import { enrol, enrolCaptures, expunge, probesOf } from '../matching/people-gallery.ts';
import { openAdmission, openGrant } from './open-access.ts';

const PEOPLE = 30;
/** A threshold that many pairs of different people reach. */
const MANY = { $case: 'maxLog10Fmr', value: -1 } as const;
/** Enrolled again, with another capture. */
const TWICE = [4, 9, 21];

const turns = listTurns();
let pool: WorkerPool;
beforeAll(() => void (pool = new WorkerPool(1)));
afterAll(() => pool.close());

async function fill(gallery: Gallery): Promise<Gallery> {
  for (let person = 0; person < PEOPLE; person++) enrol(gallery, person);
  for (const person of TWICE) enrolCaptures(gallery, `q${person}`, await probesOf(pool, person));
  return gallery;
}

/** A service in which one search runs at a time, and `turn` is called before each. */
async function serviceOf(turn: (search: number) => void | Promise<void> = () => undefined, maxMessageBytes = 65_536) {
  const served = new ActiveGallery(gallerySizing(100));
  await fill(served.current);
  const admission = new AdmissionQueue(1, 100);
  const audit = new IndexAudit(
    0,
    0.999,
    served,
    pool,
    () => admission.idle(),
    () => undefined,
  );
  let searches = 0;
  const taking = {
    run: async <T>(who: Parameters<AdmissionQueue['run']>[0], search: () => Promise<T>) => {
      await turn(++searches);
      return admission.run(who, search);
    },
  } as AdmissionQueue;
  const parts = { served, planner: new Planner(pool), audit, pool, quarantine: new Quarantine(), targetFpir: 0.01 };
  const searcher = new Searcher({ ...parts, admission: taking });
  const service: DuplicateDependencies = {
    served,
    searcher,
    targetFpir: 0.01,
    maxMessageBytes,
    requireReady: () => undefined,
  };
  return { served, service };
}

function find(
  service: DuplicateDependencies,
  changes: Partial<FindDuplicatesRequest> = {},
  deadlineMs = Infinity,
  searches: (record: RecordFacts) => boolean = () => true,
) {
  const request: FindDuplicatesRequest = {
    galleries: [],
    afterSubjectId: '',
    maxSubjects: 1000,
    maxDuplicates: 0,
    threshold: undefined,
    ...changes,
  };
  const context: CallContext = {
    requestId: '',
    signal: new AbortController().signal,
    deadlineMs,
    principal: openAdmission().principal,
    authorize: (asked) => ({ ...openGrant(asked), searches }),
    isAuthorized: true,
    party: () => ({ name: 'a', connection: 'b' }),
    note: () => undefined,
    account: () => undefined,
    found: () => undefined,
    recordEarly: () => Promise.resolve(),
  };
  return findDuplicates(service, turns, request, context);
}

/** Changes the contributor of a subject. */
function hand(gallery: Gallery, subjectId: string, contributor: string): void {
  const { references } = gallery.subject(subjectId) ?? { references: [] };
  const kept = references.map(({ referenceId, partition }) => ({ referenceId, partition, packed: undefined }));
  const attributes = subjectAttributes({ contributor });
  gallery.apply(gallery.version + 1, { kind: 'upsert', subjectId, attributes, references: kept });
}

const namesOf = (pairs: readonly { subjectId: string; otherSubjectId: string }[]) =>
  [...new Set(pairs.map(({ subjectId, otherSubjectId }) => [subjectId, otherSubjectId].sort().join(' ')))].sort();
const expected = (people: readonly number[]) => people.map((person) => `p${person} q${person}`).sort();

describe('duplicates, while the gallery changes', () => {
  it('are found in the gallery that replaces the first one meanwhile', async () => {
    const { served, service } = await serviceOf(async (search) => {
      if (search !== 3) return;
      const next = await fill(served.makeEmpty());
      await served.replace(next);
    });
    const response = await find(service);
    expect(namesOf(response.pairs)).toEqual(expected(TWICE));
    expect(response).toMatchObject({ subjectsCovered: PEOPLE + TWICE.length, subjectsNotComparable: 0 });
  });

  it('are not found with an expunged subject, whatever gallery it was in', async () => {
    const { served, service } = await serviceOf(async (search) => {
      if (search !== 2) return;
      const next = await fill(served.makeEmpty());
      await served.replace(next);
      expunge(next, TWICE[2]);
    });
    const response = await find(service);
    expect(namesOf(response.pairs)).toEqual(expected(TWICE.slice(0, 2)));
    expect(JSON.stringify(response)).not.toContain(`"p${TWICE[2]}"`);
  });

  it('are not looked for with a subject that has left the scope before its turn', async () => {
    const { served, service } = await serviceOf((search) => {
      if (search !== 2) return;
      const { current } = served;
      const { references } = current.subject('p11') ?? { references: [] };
      const kept = references.map(({ referenceId, partition }) => ({ referenceId, partition, packed: undefined }));
      const attributes = subjectAttributes({ galleries: new Set(['all']) });
      current.apply(current.version + 1, { kind: 'upsert', subjectId: 'p11', attributes, references: kept });
      expunge(current, 13);
    });
    expect(await find(service, { galleries: ['odd'] })).toMatchObject({
      subjectsCovered: PEOPLE / 2 - 2,
      subjectsNotComparable: 0,
    });
  });

  it('are left out when one of them is expunged before the answer', async () => {
    const { served, service } = await serviceOf((search) => {
      if (search === PEOPLE + TWICE.length) expunge(served.current, TWICE[0]);
    });
    const response = await find(service);
    expect(namesOf(response.pairs)).toEqual(expected(TWICE.slice(1)));
  });
});

describe('duplicates, for a caller that may not search every record class', () => {
  it('are those of a gallery without the masked subjects, as is what is said of the search', async () => {
    const { served, service } = await serviceOf();
    const masked = ['p1', 'p4', `q${TWICE[1]}`];
    for (const subjectId of masked) hand(served.current, subjectId, 'secret');
    const mask = ({ contributor }: RecordFacts) => contributor !== 'secret';
    const { served: other, service: without } = await serviceOf();
    for (const subjectId of masked) other.current.apply(other.current.version + 1, { kind: 'expunge', subjectId });
    const thresholds = [service, without].map(({ searcher }) => vi.spyOn(searcher, 'duplicatesOf'));
    for (const changes of [{}, { maxSubjects: 5 }, { threshold: MANY }]) {
      const [found, due] = await Promise.all([find(service, changes, Infinity, mask), find(without, changes)]);
      expect({ ...found, galleryVersion: 0 }).toEqual({ ...due, galleryVersion: 0 });
    }
    const [asked, due] = thresholds.map(({ mock }) => mock.calls.map(([, { threshold }]) => threshold));
    expect(asked).toEqual(due);
    vi.restoreAllMocks();
    expect(namesOf((await find(service, {}, Infinity, mask)).pairs)).toEqual(expected([TWICE[2]]));
  });

  it('are left out when one of them changes to a masked class before the answer', async () => {
    const { served, service } = await serviceOf((search) => {
      if (search === PEOPLE + TWICE.length) hand(served.current, `p${TWICE[0]}`, 'secret');
    });
    const mask = ({ contributor }: RecordFacts) => contributor !== 'secret';
    expect(namesOf((await find(service, {}, Infinity, mask)).pairs)).toEqual(expected(TWICE.slice(1)));
  });
});

describe('duplicates, where not all of them can be found at once', () => {
  it('are answered as far as they were found when a search is refused', async () => {
    const full = new Failure('resource-exhausted', 'QUEUE_FULL', 'Too many searches are waiting; try again shortly.');
    const { service } = await serviceOf((search) => {
      if (search % 10 === 0) throw full;
    });
    const response = await find(service);
    expect(response).toMatchObject({ subjectsCovered: 9, nextAfterSubjectId: 'p16' });
    const { pairs } = await find((await serviceOf()).service, { maxSubjects: 9 });
    expect(response.pairs).toEqual(pairs);
    const { service: busy } = await serviceOf(() => {
      throw full;
    });
    await expect(find(busy)).rejects.toMatchObject({ reason: 'QUEUE_FULL' });
    const { service: broken } = await serviceOf((search) => {
      if (search === 3) throw new Failure('internal', 'WORKER_FAILED', 'A comparison could not be carried out.');
    });
    await expect(find(broken)).rejects.toMatchObject({ reason: 'WORKER_FAILED' });
  });

  it('are not looked for when a search like those before would end too late', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const { service } = await serviceOf(() => void vi.setSystemTime(Date.now() + 3000));
      const response = await find(service, {}, Date.now() + 10_000);
      expect(response).toMatchObject({ subjectsCovered: 2, nextAfterSubjectId: 'p1' });
      // The first one is always looked for.
      expect(await find(service, {}, Date.now() + 100)).toMatchObject({ subjectsCovered: 1 });
    } finally {
      vi.useRealTimers();
    }
  });

  it('are answered in messages within the size limit', async () => {
    // Four pairs at most. The first four subjects are one person: three pairs each.
    const maxMessageBytes = 656;
    const { served, service } = await serviceOf(undefined, maxMessageBytes);
    for (const id of ['p0a', 'p0b', 'p0c']) enrolCaptures(served.current, id, await probesOf(pool, 0));
    const changes = { maxDuplicates: 3 };
    const response = await find(service, changes);
    const bytes = FindDuplicatesResponse.encode(response).finish().length;
    expect(response).toMatchObject({ subjectsCovered: 1, nextAfterSubjectId: 'p0' });
    expect(response.pairs).toHaveLength(3);
    // Ids of subjects have 36 characters, those of this test at least 2.
    expect(bytes + 34 * (2 * response.pairs.length + 1)).toBeLessThanOrEqual(maxMessageBytes);
    const { service: roomy } = await serviceOf();
    expect((await find(roomy, changes)).pairs.length).toBeGreaterThan(4);
  });

  it('are listed for one call at a time', async () => {
    const { served, service } = await serviceOf();
    const { current: gallery } = served;
    const real = gallery.subjectWithOrdinal.bind(gallery);
    let [listing, most] = [0, 0];
    const calls = Array.from({ length: 20 }, (_, i) => i);
    vi.spyOn(gallery, 'ordinalEnd', 'get').mockReturnValue(20_000);
    vi.spyOn(gallery, 'subjectWithOrdinal').mockImplementation((ordinal) => {
      if (ordinal === 1000) most = Math.max(most, ++listing);
      if (ordinal === 19_999) listing--;
      return real(ordinal);
    });
    const responses = await Promise.all(calls.map(() => find(service, { maxSubjects: 1 })));
    vi.restoreAllMocks();
    expect(responses.map(({ nextAfterSubjectId }) => nextAfterSubjectId)).toEqual(calls.map(() => 'p0'));
    expect(most).toBe(1);
  });
});
