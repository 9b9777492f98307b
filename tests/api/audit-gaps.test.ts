/** Moments at which an answer, a change or its record could come apart. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry, AuditRecord } from '../../src/audit/audit-entry.ts';
import { AuditTrail } from '../../src/audit/audit-trail.ts';
import type { IdentifyStreamResponse } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Failure } from '../../src/failure.ts';
import { ChangeFollower } from '../../src/gallery/change-follower.ts';
import { Searcher } from '../../src/matching/search/searcher.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
  callsOf,
  enrolPerson,
  enrolRequest,
  identifyRequest,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { record } = AuditTrail.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { advanceTo } = ChangeFollower.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the searcher that it was called on
const { identify } = Searcher.prototype;
let cluster: TestCluster;
let url: string;
let running: RunningService;
const clients = registeredClients(() => running);
const { verify } = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  await enrolPerson(running, 1);
});
afterEach(() => {
  Object.assign(AuditTrail.prototype, { record });
  Object.assign(ChangeFollower.prototype, { advanceTo });
  Object.assign(Searcher.prototype, { identify });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

async function read<Row extends pg.QueryResultRow>(text: string, of = url): Promise<Row[]> {
  const client = new pg.Client({ connectionString: of });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

async function recordsOf(where: string, of = url): Promise<AuditRecord[]> {
  const entries = await read<{ entry: string }>(
    `SELECT entry FROM audit_record WHERE ${where} ORDER BY writer, seq`,
    of,
  );
  return entries.map(({ entry }) => JSON.parse(entry) as AuditRecord);
}

/** The first records of a request are refused. */
function refuseRecords(requestId: string, count: number): void {
  let left = count;
  AuditTrail.prototype.record = function (entry: AuditEntry) {
    if (entry.request_id !== requestId || left-- <= 0) return record.call(this, entry);
    return Promise.reject(new Failure('unavailable', 'AUDIT_UNAVAILABLE', 'It is away.'));
  };
}

/** Each search tells an early list, and takes its time for the rest. */
function findEarly(): void {
  Searcher.prototype.identify = async function (query, patience, tellEarly) {
    const found = await identify.call(this, { ...query, firstHit: false }, patience);
    tellEarly?.(found);
    await new Promise((resolve) => setImmediate(resolve));
    return found;
  };
}

async function streamed(requestId: string): Promise<IdentifyStreamResponse[]> {
  const stream = running.identification.identifyStream();
  const answers: IdentifyStreamResponse[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('data', (answer: IdentifyStreamResponse) => void answers.push(answer));
    stream.on('end', resolve);
    stream.on('error', reject);
  });
  stream.write({ request: identifyRequest(samplesOf(1, 1), { firstHit: true, clientRequestId: requestId }) });
  stream.end();
  await ended;
  return answers;
}
const kindsOf = (answers: readonly IdentifyStreamResponse[]) => answers.map(({ outcome }) => outcome?.$case);

describe('an early answer', () => {
  it('whose record cannot be kept is not told, and fails its search, not the service', async () => {
    findEarly();
    const id = randomUUID();
    refuseRecords(id, 1);
    expect(kindsOf(await streamed(id))).toEqual(['error']);
    expect(kindsOf(await streamed(randomUUID()))).toEqual(['response', 'response']);
  });
});

describe('a service that stops', () => {
  it('records the change of a call that it cut off', async () => {
    const own = await cluster.createDatabase();
    const stopping = await runService(own, { RIDGEWATCH_DRAIN_SECONDS: '0' });
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: cutOff, resolve: cut } = Promise.withResolvers<void>();
    ChangeFollower.prototype.advanceTo = async () => {
      begin();
      await cutOff;
      throw new Failure('unavailable', 'STORE_UNAVAILABLE', 'It is away.');
    };
    const enrolled = enrolPerson(stopping, 2).catch((status: unknown) => status);
    await begun;
    const stopped = stopping.stop();
    await enrolled;
    cut();
    await stopped;
    const rows = await read<{ subject_id: string }>('SELECT subject_id FROM subject', own);
    expect(await recordsOf("kind IN ('call', 'stop')", own)).toMatchObject([
      { method: 'Gallery/Enroll', subject_id: rows[0]?.subject_id, gallery_version: 1 },
      { kind: 'stop' },
    ]);
  });
});

describe('the records of a call', () => {
  const ofMethod = (method: string) => recordsOf(`entry::json->>'method' = '${method}'`);
  const named = (found: readonly AuditRecord[]) => found.map(({ subjects = [] }) => subjects.length);

  it('name every subject that was enrolled, listed or compared, also where they are many', async () => {
    const { gallery } = running;
    const enrolled = await new Promise<string[]>((resolve, reject) => {
      const stream = gallery.enrollStream((error, answer) => {
        if (error !== null) reject(error);
        else resolve(answer.outcomes.flatMap(({ outcome }) => (outcome?.$case === 'subjectId' ? [outcome.value] : [])));
      });
      for (let i = 0; i < 130; i++) stream.write({ record: enrolRequest(samplesOf(3, 0).slice(0, 1)) });
      stream.end();
    });
    const batches = await ofMethod('Gallery/EnrollStream');
    // Two transactions, and the call with its counts.
    expect(named(batches)).toEqual([100, 30, 0]);
    expect(batches.flatMap(({ subjects = [] }) => subjects).sort()).toEqual([...enrolled].sort());
    expect(await recordsOf(`subjects @> ARRAY['${enrolled[7]}'::uuid]`)).toHaveLength(1);

    const page = { gallery: '', contributor: '', pageSize: 60, pageToken: '' };
    const { subjects } = await call(gallery, gallery.listSubjects.bind(gallery), page);
    const [listed] = await ofMethod('Gallery/ListSubjects');
    expect(listed?.subjects).toEqual(subjects.map(({ subjectId }) => subjectId));

    const search = { galleries: [], afterSubjectId: '', maxSubjects: 3, maxDuplicates: 2, threshold: undefined };
    const { pairs } = await call(gallery, gallery.findDuplicates.bind(gallery), search);
    const [compared] = await ofMethod('Gallery/FindDuplicates');
    expect(pairs.length).toBeGreaterThan(0);
    for (const { subjectId, otherSubjectId } of pairs)
      expect(compared?.subjects).toEqual(expect.arrayContaining([subjectId, otherSubjectId]));
  });

  it('are few where a client calls without end, and count its calls', async () => {
    const by = await clients.as({ callsPerSecond: 1 });
    const { identification } = by;
    const identify = identification.identify.bind(identification);
    const asked = Array.from({ length: 200 }, () =>
      call(identification, identify, identifyRequest(samplesOf(1, 1))).then(
        () => 'OK',
        (status: unknown) => (status as { reason: string }).reason,
      ),
    );
    const limited = (await Promise.all(asked)).filter((reason) => reason === 'RATE_LIMITED').length;
    expect(limited).toBeGreaterThan(150);
    const records = () => recordsOf(`client_id = '${by.clientId}' AND entry::json->>'reason' = 'RATE_LIMITED'`);
    const counted = async () => (await records()).reduce((sum, { count = 1 }) => sum + count, 0);
    await expect.poll(counted, { timeout: 5000 }).toBe(limited);
    expect((await records()).length).toBeLessThan(10);
  });

  it('say how strong a comparison was', async () => {
    const { subject } = await enrolPerson(running, 4);
    const claim = { $case: 'subjectId', value: subject?.subjectId ?? '' } as const;
    const { log10Fmr } = await verify(samplesOf(4, 1), claim);
    const made = (await ofMethod('Identification/Verify')).filter(({ kind }) => kind === 'call');
    expect(made).toMatchObject([{ log10_fmr: log10Fmr, outcome: 'OK' }]);
  });
});
