/** Subjects that resemble each other, over the contract and the command line. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  FindDuplicatesRequest,
  FindDuplicatesResponse,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Band } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { firstIdSince } from '../../src/cli/subject-ids.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { call, callsOf, enrolRequest, refused, runService, samplesOf, type RunningService } from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
const { enroll, expunge } = callsOf(() => running);
/** Ids by person and capture. */
const ids = new Map<string, string>();
const idOf = (person: number, capture = 0) => ids.get(`${person}.${capture}`) ?? '';

const PEOPLE = 24;
/** Enrolled twice. */
const TWICE = [3, 8, 17];
/** Enrolled twice, in two galleries. */
const IN_TWO_GALLERIES = 11;
/** Enrolled twice; the second time with an expiry in the past. */
const EXPIRED = 5;

async function enrol(person: number, capture: number, galleries: string[], expireTime?: Date): Promise<void> {
  const { data } = enrolRequest([]);
  if (data === undefined) throw new Error('no data');
  const samples = samplesOf(person, capture);
  const { subject } = await enroll(samples, { data: { ...data, galleries, expireTime } });
  ids.set(`${person}.${capture}`, subject?.subjectId ?? '');
}

/** In the galleries that no test changes. */
const STABLE = ['main', 'other'];

function find(changes: Partial<FindDuplicatesRequest> = {}, options = {}): Promise<FindDuplicatesResponse> {
  const request = {
    galleries: STABLE,
    afterSubjectId: '',
    maxSubjects: 0,
    maxDuplicates: 0,
    threshold: undefined,
    ...changes,
  };
  return call(running.gallery, running.gallery.findDuplicates.bind(running.gallery), request, options);
}

/** Pairs without order and without doubles. */
function named(responses: readonly FindDuplicatesResponse[]): string[] {
  const pairs = responses.flatMap(({ pairs: found }) => found);
  return [
    ...new Set(pairs.map(({ subjectId, otherSubjectId }) => [subjectId, otherSubjectId].sort().join(' '))),
  ].sort();
}

function pairsOf(people: readonly number[]): string[] {
  return people.map((person) => [idOf(person), idOf(person, 1)].sort().join(' ')).sort();
}

async function pages(changes: Partial<FindDuplicatesRequest>): Promise<FindDuplicatesResponse[]> {
  const responses: FindDuplicatesResponse[] = [];
  let afterSubjectId = '';
  do {
    const response = await find({ ...changes, afterSubjectId });
    responses.push(response);
    afterSubjectId = response.nextAfterSubjectId;
  } while (afterSubjectId !== '');
  return responses;
}

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  for (let person = 0; person < PEOPLE; person++) await enrol(person, 0, ['main']);
  for (const person of TWICE) await enrol(person, 1, ['main']);
  await enrol(IN_TWO_GALLERIES, 1, ['other']);
  await enrol(EXPIRED, 1, ['main'], new Date('2001-01-01T00:00:00Z'));
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe('a search for duplicates', () => {
  it('finds the people who are enrolled twice, and no others', async () => {
    const response = await find();
    expect(named([response])).toEqual(pairsOf([...TWICE, IN_TWO_GALLERIES]));
    expect(response).toMatchObject({
      nextAfterSubjectId: '',
      subjectsCovered: PEOPLE + TWICE.length + 1,
      subjectsNotComparable: 0,
      truncatedSubjects: 0,
    });
    for (const pair of response.pairs) {
      expect(pair.band).toBe(Band.STRONG_CANDIDATE);
      expect(pair.log10Fmr).toBeLessThan(-3);
      expect(pair.subjectId).not.toBe(pair.otherSubjectId);
    }
  });

  it('finds the same page by page, each subject covered once', async () => {
    for (const maxSubjects of [1, 7, PEOPLE + TWICE.length]) {
      const responses = await pages({ maxSubjects });
      expect(named(responses)).toEqual(pairsOf([...TWICE, IN_TWO_GALLERIES]));
      expect(responses.map(({ subjectsCovered }) => subjectsCovered).reduce((a, b) => a + b)).toBe(
        PEOPLE + TWICE.length + 1,
      );
      expect(Math.max(...responses.map(({ subjectsCovered }) => subjectsCovered))).toBe(maxSubjects);
    }
  });

  it('covers only subjects after an id, each against all', async () => {
    const later = await find({ afterSubjectId: idOf(PEOPLE - 1) });
    expect(later.subjectsCovered).toBe(TWICE.length + 1);
    expect(named([later])).toEqual(pairsOf([...TWICE, IN_TWO_GALLERIES]));
    expect(await find({ afterSubjectId: 'ffffffff-ffff-7fff-bfff-ffffffffffff' })).toMatchObject({
      pairs: [],
      nextAfterSubjectId: '',
      subjectsCovered: 0,
    });
  });

  it('stays within galleries on both sides', async () => {
    expect(named([await find({ galleries: ['main'] })])).toEqual(pairsOf(TWICE));
    expect(await find({ galleries: ['other'] })).toMatchObject({ pairs: [], subjectsCovered: 1 });
    expect(named([await find({ galleries: [] })])).toEqual(
      expect.arrayContaining(pairsOf([...TWICE, IN_TWO_GALLERIES])),
    );
  });

  it('applies a threshold, and shows the strongest pairs of a subject', async () => {
    expect((await find({ threshold: { $case: 'maxLog10Fmr', value: -12 } })).pairs.length).toBeLessThanOrEqual(8);
    const lax = await find({ threshold: { $case: 'maxLog10Fmr', value: 0 }, maxDuplicates: 1, maxSubjects: 50 });
    expect(lax.truncatedSubjects).toBeGreaterThan(0);
    const bySubject = Map.groupBy(lax.pairs, ({ subjectId }) => subjectId);
    expect(Math.max(...[...bySubject.values()].map((pairs) => pairs.length))).toBe(1);
    for (const person of TWICE) expect(bySubject.get(idOf(person))?.[0]?.otherSubjectId).toBe(idOf(person, 1));
  });

  it('names the field that breaks a rule', async () => {
    for (const [changes, field] of [
      [{ galleries: ['main', 'main'] }, 'galleries'],
      [{ afterSubjectId: 'x' }, 'after_subject_id'],
      [{ maxSubjects: 1001 }, 'max_subjects'],
      [{ maxDuplicates: 51 }, 'max_duplicates'],
      [{ threshold: { $case: 'targetFpir', value: 0.6 } }, 'target_fpir'],
    ] as const) {
      const status = await refused(find(changes as Partial<FindDuplicatesRequest>));
      expect(status).toMatchObject({ reason: 'INVALID_REQUEST' });
      expect(status.message).toContain(field);
    }
    expect(await refused(find({ galleries: ['man'] }))).toMatchObject({ reason: 'GALLERY_UNKNOWN' });
  });

  it('ends before its deadline and names where to continue', async () => {
    const responses: FindDuplicatesResponse[] = [];
    let afterSubjectId = '';
    do {
      const response = await find({ afterSubjectId, maxSubjects: 1000 }, { deadline: Date.now() + 400 });
      responses.push(response);
      expect(response.subjectsCovered).toBeGreaterThan(0);
      afterSubjectId = response.nextAfterSubjectId;
    } while (afterSubjectId !== '');
    expect(named(responses)).toEqual(pairsOf([...TWICE, IN_TWO_GALLERIES]));
  });
});

describe('the command dedup', () => {
  const run = (...args: string[]) =>
    ridgewatch(['dedup', '--address', `127.0.0.1:${running.service.grpcPort}`, ...args]);

  it('prints each pair once', async () => {
    const { code, stdout } = await run('--gallery', 'main', '--gallery', 'other', '--json', '--exit-code');
    expect(code).toBe(3);
    const document = JSON.parse(stdout) as { pairs: { subject_id: string; other_subject_id: string; band: string }[] };
    expect(document.pairs.map((pair) => [pair.subject_id, pair.other_subject_id].sort().join(' ')).sort()).toEqual(
      pairsOf([...TWICE, IN_TWO_GALLERIES]),
    );
    expect(document).toMatchObject({ subjects_covered: PEOPLE + TWICE.length + 1 });
    const text = await run('--gallery', 'other');
    expect(text).toMatchObject({ code: 0 });
    expect(text.stdout).toContain('1 subjects covered, 0 similar pairs.');
  });

  it('covers the subjects enrolled since a time', async () => {
    const { stdout } = await run('--since', '2099-01-01', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ subjects_covered: 0, pairs: [] });
    expect(await run('--since', 'yesterday')).toMatchObject({ code: 2 });
    // RFC 9562, appendix A.6: the id of a UUIDv7 example begins with its time.
    expect(firstIdSince('2022-02-22T19:22:22.000Z').slice(0, 13)).toBe('017f22e2-79b0');
    expect(firstIdSince('1970-01-01T00:00:00Z')).toBe('00000000-0000-7000-8000-000000000000');
  });
});

it('does not find an expunged subject', async () => {
  const galleries = ['brief'];
  await enrol(40, 0, galleries);
  await enrol(40, 1, galleries);
  expect(named([await find({ galleries })])).toEqual(pairsOf([40]));
  await expunge(idOf(40, 1));
  expect(await find({ galleries })).toMatchObject({ pairs: [], subjectsCovered: 1 });
  await expunge(idOf(40));
  expect(await find({ galleries })).toMatchObject({ pairs: [], subjectsCovered: 0 });
});
