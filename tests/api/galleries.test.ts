/** Searches and listings of galleries that are empty, or were never named. */
import { status as Code } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EnrollStreamResponse, ListSubjectsResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  EmptyScope,
  type IdentifyResponse,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Band, Sample, SampleOutcome } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { readStatus } from '../../src/api/status.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

const SETTINGS = { RIDGEWATCH_HTTP_IDENTIFY: 'true' } as const;

let cluster: TestCluster;
let url: string;
let running: RunningService;
const { identify, enroll, update, expunge, status, verify } = callsOf(() => running);
const first = ({ candidates }: IdentifyResponse) => candidates[0]?.subjectId;

const dataIn = (galleries: string[], changes: { expireTime?: Date; externalId?: string } = {}) => {
  const { data } = enrolRequest([]);
  if (data === undefined) throw new Error('no data');
  return { ...data, galleries, ...changes };
};

function list(gallery: string): Promise<ListSubjectsResponse> {
  const filter = { gallery, contributor: '', pageSize: 0, pageToken: '' };
  return call(running.gallery, running.gallery.listSubjects.bind(running.gallery), filter);
}

async function post(galleries: readonly string[], to = running) {
  const samples = samplesOf(1, 1).map((sample) => Sample.toJSON(sample));
  const response = await fetch(`http://127.0.0.1:${to.service.httpPort}/v1/identify`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...to.headers },
    body: JSON.stringify({ samples, purpose: 'PURPOSE_TEST', checkpoint_id: 'gate-1', galleries }),
  });
  return { status: response.status, document: (await response.json()) as Record<string, unknown> };
}

/** The counter of GALLERY_UNKNOWN. */
async function refusals(): Promise<number> {
  const metrics = await metricsOf(running);
  return Number(/^ridgewatch_refused_total\{reason="GALLERY_UNKNOWN"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

async function restart(): Promise<void> {
  await running.stop();
  running = await runService(url, SETTINGS);
}

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url, SETTINGS);
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

describe('an empty store', () => {
  it('reports with every search that there was nothing to search', async () => {
    const empty = await runService(await cluster.createDatabase(), SETTINGS);
    try {
      expect(await callsOf(() => empty).identify(samplesOf(1, 1))).toMatchObject({
        candidates: [],
        subjectsSearched: 0,
        emptyScope: EmptyScope.NO_SUBJECT,
      });
      expect((await post([], empty)).document).toMatchObject({ empty_scope: 'EMPTY_SCOPE_NO_SUBJECT' });
    } finally {
      await empty.stop();
    }
  });
});

describe('a gallery that no subject ever belonged to', () => {
  it('is refused by every kind of search, and by a listing', async () => {
    await enroll(samplesOf(1, 0), { data: dataIn(['watchlist']) });
    expect(first(await identify(samplesOf(1, 1), { galleries: ['watchlist'] }))).toBeDefined();
    const before = await refusals();
    const unknown = {
      code: Code.FAILED_PRECONDITION,
      reason: 'GALLERY_UNKNOWN',
      violations: [expect.objectContaining({ field: 'galleries[1]' })],
    };
    const galleries = ['watchlist', 'watchlsit'];
    for (const exact of [true, false])
      expect(await refused(identify(samplesOf(1, 1), { galleries, exact }))).toMatchObject(unknown);
    const [answer] = await stream([{ ...identifyRequest(samplesOf(1, 1), { galleries }), clientRequestId: 'one' }]);
    expect(answer.outcome?.$case === 'error' && readStatus(answer.outcome.value)).toMatchObject(unknown);
    expect(await post(galleries)).toMatchObject({ status: 400, document: { error: { reason: 'GALLERY_UNKNOWN' } } });
    expect(await refused(list('watchlsit'))).toMatchObject({
      reason: 'GALLERY_UNKNOWN',
      violations: [{ field: 'gallery' }],
    });
    expect((await list('watchlist')).subjects).toHaveLength(1);
    expect((await refusals()) - before).toBe(5);
  });

  it('is reported as new once, when a subject is first enrolled in it', async () => {
    const { subject, newGalleries } = await enroll(samplesOf(2, 0), { data: dataIn(['new-b', 'new-a']) });
    expect([...newGalleries].sort()).toEqual(['new-a', 'new-b']);
    expect((await enroll(samplesOf(3, 0), { data: dataIn(['new-a']) })).newGalleries).toEqual([]);
    const moved = await update({
      subjectId: subject?.subjectId ?? '',
      expectedVersion: 0,
      data: dataIn(['new-a', 'new-c']),
      samples: [],
      updateMask: ['data.galleries'],
    });
    expect(moved.newGalleries).toEqual(['new-c']);
    const response = await new Promise<EnrollStreamResponse>((resolve, reject) => {
      const enrolment = running.gallery.enrollStream((error, answer) => (error ? reject(error) : resolve(answer)));
      enrolment.write({ record: enrolRequest(samplesOf(4, 0), { data: dataIn(['new-d', 'new-a']) }) });
      enrolment.write({ record: enrolRequest(samplesOf(5, 0), { data: dataIn(['new-d']) }) });
      // A refused record does not create its gallery.
      enrolment.write({ record: enrolRequest([], { data: dataIn(['new-e']) }) });
      enrolment.end();
    });
    expect(response).toMatchObject({ enrolledCount: 2, newGalleries: ['new-d'] });
    expect(await refused(identify(samplesOf(2, 1), { galleries: ['new-e'] }))).toMatchObject({
      reason: 'GALLERY_UNKNOWN',
    });
  });
});

describe('a gallery', () => {
  it('is searched only when the request names it', async () => {
    const data = { ...dataIn(['north'], { externalId: 'gallery-test' }), caveats: ['X-NO-NOTICE'] };
    const { subject } = await enroll(samplesOf(20, 0), { data });
    expect(first(await identify(samplesOf(20, 1), { galleries: ['north'] }))).toBe(subject?.subjectId);
    expect(await refused(identify(samplesOf(20, 1), { galleries: ['north', 'south'] }))).toMatchObject({
      reason: 'GALLERY_UNKNOWN',
      violations: [expect.objectContaining({ field: 'galleries[1]' })],
    });
    const moved = await update({
      subjectId: subject?.subjectId ?? '',
      expectedVersion: 1,
      data: { ...data, galleries: ['south'], caveats: [] },
      samples: [],
      updateMask: ['data.galleries'],
    });
    expect(moved.subject).toMatchObject({ version: 2, data: { galleries: ['south'], caveats: ['X-NO-NOTICE'] } });
    expect(first(await identify(samplesOf(20, 1), { galleries: ['south'] }))).toBe(subject?.subjectId);
    const north = await identify(samplesOf(20, 1), { galleries: ['north'] });
    expect([north.candidates, north.subjectsSearched, north.band]).toEqual([[], 0, Band.NO_CANDIDATE]);
    expect(
      await refused(
        update({
          subjectId: subject?.subjectId ?? '',
          expectedVersion: 1,
          data: { ...data, galleries: ['x'], caveats: [] },
          samples: [],
          updateMask: ['data.galleries'],
        }),
      ),
    ).toMatchObject({ code: Code.ABORTED, reason: 'VERSION_MISMATCH' });
  });
});

describe('a gallery in which nothing can be searched', () => {
  it('is reported as empty after an expunction, and after an expiry', async () => {
    const emptied = { galleries: ['emptied'] };
    const { subject } = await enroll(samplesOf(10, 0), { data: dataIn(['emptied']) });
    expect(await identify(samplesOf(10, 1), emptied)).toMatchObject({
      subjectsSearched: 1,
      emptyScope: EmptyScope.UNSPECIFIED,
    });
    await expunge(subject?.subjectId ?? '');
    const nothing = { candidates: [], subjectsSearched: 0, emptyScope: EmptyScope.NO_SUBJECT };
    for (const exact of [true, false])
      expect(await identify(samplesOf(10, 1), { ...emptied, exact })).toMatchObject(nothing);
    expect((await status()).galleries).toContainEqual({ gallery: 'emptied', subjectCount: 0 });
    expect((await list('emptied')).subjects).toEqual([]);
    const past = new Date(Date.now() - 1000);
    const late = await enroll(samplesOf(11, 0), { data: dataIn(['late'], { expireTime: new Date(Date.now() + 1e6) }) });
    const subjectId = late.subject?.subjectId ?? '';
    const moveTo = (expireTime: Date) =>
      update({
        subjectId,
        expectedVersion: 0,
        data: dataIn([], { expireTime }),
        samples: [],
        updateMask: ['data.expire_time'],
      });
    await moveTo(past);
    expect(await identify(samplesOf(11, 1), { galleries: ['late'] })).toMatchObject(nothing);
    const claim = { $case: 'subjectId', value: subjectId } as const;
    expect(await refused(verify(samplesOf(11, 1), claim))).toMatchObject({ reason: 'SUBJECT_NOT_FOUND' });
    const read = call(running.gallery, running.gallery.getSubject.bind(running.gallery), { subjectId });
    expect((await read).subject?.data?.expireTime).toEqual(past);
    const { partitions, referenceCount } = await status();
    expect(partitions.map(({ expiredCount }) => expiredCount)).toEqual([1, 1, 1]);
    expect(partitions.reduce((sum, { liveCount }) => sum + liveCount, 0)).toBe(referenceCount);
    await moveTo(new Date(Date.now() + 1e6));
    expect(first(await identify(samplesOf(11, 1), { galleries: ['late'] }))).toBe(subjectId);
    expect((await verify(samplesOf(11, 1), claim)).scores).toHaveLength(3);
  });

  it("is reported when no subject in it has a reference of the probe's instance", async () => {
    const [finger, , face] = samplesOf(12, 0);
    await enroll([finger], { data: dataIn(['fingers']) });
    for (const exact of [true, false]) {
      const answer = await identify([face], { galleries: ['fingers'], exact });
      expect(answer).toMatchObject({ subjectsSearched: 1, emptyScope: EmptyScope.NO_REFERENCE });
      expect(answer.samples[0].outcome).toBe(SampleOutcome.NOTHING_TO_COMPARE);
      const some = await identify([finger, face], { galleries: ['fingers'], exact });
      expect(some).toMatchObject({ emptyScope: EmptyScope.UNSPECIFIED });
      expect(some.samples.map(({ outcome, referencesCompared }) => [outcome, referencesCompared])).toEqual([
        [SampleOutcome.COMPARED, 1],
        [SampleOutcome.NOTHING_TO_COMPARE, 0],
      ]);
    }
  });

  it('is known after a restart, to a service with an index, and to another service on the same database', async () => {
    const env = { DATABASE_URL: url, RIDGEWATCH_DATA_DIR: dataDirectoryOf(url) };
    const nothing = { emptyScope: EmptyScope.NO_SUBJECT };
    const emptied = { galleries: ['emptied-before'] };
    const once = await enroll(samplesOf(14, 0), { data: dataIn(emptied.galleries) });
    await expunge(once.subject?.subjectId ?? '');
    await restart();
    expect(await identify(samplesOf(10, 1), emptied)).toMatchObject(nothing);
    expect((await ridgewatch(['index', 'build', '--publish'], env)).code).toBe(0);
    await restart();
    expect((await status()).indexName).not.toBe('');
    expect(await identify(samplesOf(10, 1), emptied)).toMatchObject(nothing);
    expect(await refused(identify(samplesOf(10, 1), { galleries: ['emptied-befroe'] }))).toMatchObject({
      reason: 'GALLERY_UNKNOWN',
    });
    const other = await runService(url, SETTINGS);
    try {
      // Expunged before the other service polls: it may see all of these changes at once, or any part of them.
      const { subject } = await enroll(samplesOf(13, 0), { data: dataIn(['brief']) });
      await update({
        subjectId: subject?.subjectId ?? '',
        expectedVersion: 0,
        data: dataIn(['briefer']),
        samples: [],
        updateMask: ['data.galleries'],
      });
      const { galleryVersion } = await expunge(subject?.subjectId ?? '');
      const calls = callsOf(() => other);
      await expect.poll(async () => (await calls.status()).galleryVersion, { timeout: 10_000 }).toBe(galleryVersion);
      for (const gallery of ['emptied-before', 'brief', 'briefer'])
        expect(await calls.identify(samplesOf(10, 1), { galleries: [gallery] })).toMatchObject(nothing);
    } finally {
      await other.stop();
    }
  });
});

/** Searches over a single stream. */
function stream(requests: readonly ReturnType<typeof identifyRequest>[]): Promise<IdentifyStreamResponse[]> {
  return new Promise((resolve, reject) => {
    const answers: IdentifyStreamResponse[] = [];
    const searches = running.identification.identifyStream();
    searches.on('data', (answer: IdentifyStreamResponse) => answers.push(answer));
    searches.on('error', reject);
    searches.on('end', () => resolve(answers));
    for (const request of requests) searches.write({ request });
    searches.end();
  });
}
