import { inspect } from 'node:util';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Failure } from '../../src/failure.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { temporaryKeys } from '../keys.ts';
import { startLine, type Line } from '../line.ts';
import { enrolment, reference } from './records.ts';

const keys = temporaryKeys();

let cluster: TestCluster;
let url: string;
let store: Store;
let line: Line;

beforeAll(async () => {
  cluster = await startTestCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  url = await cluster.createDatabase();
  line = await startLine(url);
  store = await openStore({ databaseUrl: line.url, dataDir: '', keys, log: () => undefined });
});
afterEach(async () => {
  line.mend();
  await store.close();
  line.close();
});

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof Failure) return error;
  throw error;
}

const enroll = (given = enrolment()) => store.subjects.enroll(given.subject, given.references, given.clientRequest);

it.each([true, false])('reports that the outcome of a commit is unknown (delivered: %s)', async (isDelivered) => {
  const given = enrolment({}, 'r-1');
  line.cutAt('COMMIT', isDelivered);
  expect(await failureOf(enroll(given))).toMatchObject({ kind: 'unavailable', reason: 'COMMIT_OUTCOME_UNKNOWN' });
  line.mend();
  const again = enrolment({}, 'r-1');
  expect((await enroll(again)).repeated).toBe(isDelivered);
  expect(await store.subjects.counts()).toEqual({ subjects: 1, references: 1 });
});

it('reports a broken read as STORE_UNAVAILABLE, since it changes nothing', async () => {
  line.cutAt('COMMIT', true);
  const { subject } = enrolment();
  expect(await failureOf(store.subjects.get(subject.subjectId))).toMatchObject({ reason: 'STORE_UNAVAILABLE' });
});

it('changes nothing when the connection breaks before the commit, and works once it is restored', async () => {
  line.cutAt('UPDATE change_counter', true);
  const failure = await failureOf(enroll());
  expect(failure).toMatchObject({ kind: 'unavailable', reason: 'STORE_UNAVAILABLE' });
  expect(failure.detail.retryAfterMs).toBeGreaterThan(0);
  line.mend();
  expect(await enroll()).toMatchObject({ seq: 1 });
  expect(await store.subjects.readChanges(0, 10)).toHaveLength(1);
});

it('survives when the database closes all connections, even during calls', async () => {
  const administrator = new pg.Client({ connectionString: url });
  await administrator.connect();
  const working = Array.from({ length: 30 }, () => enroll());
  const settled = Promise.allSettled(working);
  await working[0];
  await administrator.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  );
  await administrator.end();
  const reasons = (await settled).map((result) =>
    result.status === 'rejected' ? (result.reason as Failure).reason : 'ok',
  );
  for (const reason of reasons) expect(reason).toMatch(/^(ok|STORE_UNAVAILABLE|COMMIT_OUTCOME_UNKNOWN)$/);
  // A connection closed while idle may be used before the pool notices: "nothing was changed". The call is then
  // repeated, as its error tells the caller. Each such answer removes one of the ten connections.
  const { seq } = await enrollAgain(10);
  expect((await store.subjects.readChanges(0, 100)).map((change) => change.seq)).toEqual(
    Array.from({ length: seq }, (_, i) => i + 1),
  );
});

async function enrollAgain(times: number): Promise<Awaited<ReturnType<typeof enroll>>> {
  try {
    return await enroll();
  } catch (failure) {
    if (times === 0 || (failure as Failure).reason !== 'STORE_UNAVAILABLE') throw failure;
    return enrollAgain(times - 1);
  }
}

it('reports STORE_UNAVAILABLE when the database does not answer, and when the store is closed', async () => {
  line.cutAt('', false);
  expect(await failureOf(store.subjects.headSequence())).toMatchObject({ reason: 'STORE_UNAVAILABLE' });
  line.mend();
  const other = await openStore({ databaseUrl: url, dataDir: '', keys, log: () => undefined });
  await other.close();
  expect(await failureOf(other.subjects.headSequence())).toMatchObject({ reason: 'STORE_UNAVAILABLE' });
});

it.each([
  ['a constraint', () => enrolment({ externalId: 'kowalski' }), { quality: 999 }],
  ['a text encoding', () => enrolment({ externalId: 'kowalski\0' }), {}],
  ['a unique id', () => enrolment({ externalId: 'kowalski', subjectId: 'same' }), {}],
])('quotes no part of a record that violates %s, not even in the cause', async (_, make, changes) => {
  const made = make();
  const id = (await enroll()).subject.subjectId;
  const subject = made.subject.subjectId === 'same' ? { ...made.subject, subjectId: id } : made.subject;
  const failure = await failureOf(enroll({ ...made, subject, references: [reference(changes)] }));
  expect(failure).toMatchObject({ kind: 'internal', reason: 'STORE_ERROR' });
  expect(failure.detail.metadata?.['sqlstate']).toMatch(/^2[23]/);
  const everything = `${inspect(failure, { depth: 10, showHidden: true })}${JSON.stringify(failure)}`;
  expect(everything).not.toMatch(/kowalski|deadbeef|Failing row/i);
  expect(everything).not.toContain(id);
});
