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
import { enrolPerson, identifyRequest, runService, samplesOf, type RunningService } from './running-service.ts';

// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { record } = AuditTrail.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- put back
const { advanceTo } = ChangeFollower.prototype;
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the searcher that it was called on
const { identify } = Searcher.prototype;
let cluster: TestCluster;
let running: RunningService;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
  await enrolPerson(running, 1);
});
afterEach(() => {
  Object.assign(AuditTrail.prototype, { record });
  Object.assign(ChangeFollower.prototype, { advanceTo });
  Object.assign(Searcher.prototype, { identify });
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});

async function read<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
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
    const url = await cluster.createDatabase();
    const stopping = await runService(url, { RIDGEWATCH_DRAIN_SECONDS: '0' });
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
    const rows = await read<{ subject_id: string }>(url, 'SELECT subject_id FROM subject');
    const entries = await read<{ entry: string }>(
      url,
      "SELECT entry FROM audit_record WHERE kind IN ('call', 'stop') ORDER BY seq",
    );
    expect(entries.map(({ entry }) => JSON.parse(entry) as AuditRecord)).toMatchObject([
      { method: 'Gallery/Enroll', subject_id: rows[0]?.subject_id, gallery_version: 1 },
      { kind: 'stop' },
    ]);
  });
});
