/** Many concurrent calls that read the store, and callers that are gone before the answer. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { SubjectStore } from '../../src/store/subject-store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import {
  call,
  callsOf,
  enrolPerson,
  enrolRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
let other: pg.Client;

beforeAll(async () => {
  cluster = await startTestCluster();
  const url = await cluster.createDatabase();
  running = await runService(url, { RIDGEWATCH_MAX_CONCURRENT_CALLS: '1000' });
  other = new pg.Client(url);
  await other.connect();
});
afterAll(async () => {
  await other.end();
  await running.stop();
  await cluster.stop();
});
beforeEach(() => other.query('BEGIN'));
afterEach(async () => {
  await other.query('ROLLBACK');
  vi.restoreAllMocks();
});

const list = (gallery: string, withinMs: number) => {
  const { gallery: client } = running;
  const request = { gallery, contributor: '', pageSize: 1000, pageToken: '' };
  return call(client, client.listSubjects.bind(client), request, { deadline: Date.now() + withinMs });
};
const get = (subjectId: string) => {
  const { gallery: client } = running;
  return call(client, client.getSubject.bind(client), { subjectId });
};
const enroll = (person: number, withinMs: number) => {
  const { gallery: client } = running;
  const request = enrolRequest(samplesOf(person, 0));
  return call(client, client.enroll.bind(client), request, { deadline: Date.now() + withinMs });
};

describe('many concurrent listings', () => {
  it('leave connections for single reads and changes; listings beyond the queue get a retry delay', async () => {
    const id = (await enrolPerson(running, 1)).subject?.subjectId ?? '';
    // Until the lock is released, no listing can find out that this gallery does not exist.
    await other.query('LOCK TABLE gallery IN ACCESS EXCLUSIVE MODE');
    const crowd = Array.from({ length: 300 }, () => refused(list('nobody', 60_000)));
    const first = await Promise.race(crowd);
    expect(first).toMatchObject({ reason: 'STORE_BUSY', code: 14, retryAfterMs: 1000 });
    for (let i = 0; i < 10; i++) expect((await get(id)).subject?.subjectId).toBe(id);
    const { expunge } = callsOf(() => running);
    expect(await expunge(id)).toMatchObject({ referencesRemoved: 3 });
    await other.query('ROLLBACK');
    const reasons = (await Promise.all(crowd)).map(({ reason }) => reason);
    expect(new Set(reasons)).toEqual(new Set(['STORE_BUSY', 'GALLERY_UNKNOWN']));
    // Two ran, and 256 waited.
    expect(reasons.filter((reason) => reason === 'GALLERY_UNKNOWN')).toHaveLength(258);
  });

  it('stop reading when their callers are gone', async () => {
    await enrolPerson(running, 3);
    const reads = vi.spyOn(SubjectStore.prototype, 'list');
    const listings = vi.spyOn(SubjectStore.prototype, 'listing');
    await other.query('LOCK TABLE subject IN ACCESS EXCLUSIVE MODE');
    const codes = await Promise.all(Array.from({ length: 100 }, async () => (await refused(list('', 500))).code));
    expect(new Set(codes)).toEqual(new Set([Code.DEADLINE_EXCEEDED]));
    await other.query('ROLLBACK');
    expect((await list('', 60_000)).subjects.length).toBeGreaterThan(0);
    await Promise.allSettled(listings.mock.results.map(({ value }) => value as Promise<unknown>));
    // The two that were running had read once; the last listing reads twice, until there are no more subjects.
    expect(reads.mock.calls).toHaveLength(2 + 2);
  });
});

describe('a change', () => {
  it('that waits is dropped once its caller is gone; one that has begun is made', async () => {
    const before = (await list('', 60_000)).subjects.length;
    // Every writer takes its number from this table as its last step.
    await other.query('LOCK TABLE change IN ACCESS EXCLUSIVE MODE');
    const changes = vi.spyOn(SubjectStore.prototype, 'enrollMany');
    const begun = Array.from({ length: 5 }, (_, i) => refused(enroll(10 + i, 1500)));
    await expect.poll(() => changes.mock.calls.length, { timeout: 10_000 }).toBe(5);
    const waiting = Array.from({ length: 5 }, (_, i) => refused(enroll(20 + i, 1500)));
    const outcomes = await Promise.all([...begun, ...waiting]);
    expect(new Set(outcomes.map(({ code }) => code))).toEqual(new Set([Code.DEADLINE_EXCEEDED]));
    await other.query('ROLLBACK');
    await Promise.allSettled(changes.mock.results.map(({ value }) => value as Promise<unknown>));
    expect((await list('', 60_000)).subjects).toHaveLength(before + 5);
  });
});
