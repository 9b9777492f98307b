/** Budgets of comparisons over restarts and over several services, and the alarm about those spent again and again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VERIFICATIONS_PER_PAIR_DAY } from '../../src/access/budgets.ts';
import { REFUSALS_TO_ALARM } from '../../src/access/spent-budgets.ts';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient, Purpose } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { bearer } from '../../src/security/bearer.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  dataDirectoryOf,
  enrolRequest,
  metricsOf,
  runService,
  samplesOf,
  verifyRequest,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
let subjectId: string;
const clients = registeredClients(() => running);
const SPENT = 'VERIFY_BUDGET_SPENT';

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
});
beforeEach(async () => {
  const request = enrolRequest(samplesOf(1, 0));
  const data = request.data && { ...request.data, provenance: Provenance.CONTROLLED };
  const { subject } = await call(running.gallery, running.gallery.enroll.bind(running.gallery), { ...request, data });
  subjectId = subject?.subjectId ?? '';
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const examiner = () => clients.as({ agency: 'agency', roles: [Role.EXAMINER], callsPerSecond: 1000 });
const to = ({ token }: ActingClient, service: RunningService = running) =>
  clients.clientOf(IdentificationClient, token, service);

/** @returns the reason of a refusal, or OK */
function compare(identification: IdentificationClient, capture = 1): Promise<string> {
  const request = verifyRequest(samplesOf(1, capture), { $case: 'subjectId', value: subjectId });
  return call(identification, identification.verify.bind(identification), {
    ...request,
    purpose: Purpose.INVESTIGATION,
  }).then(
    ({ log10Fmr }) => {
      // A stronger answer than this costs one comparison: the tests count them.
      expect(log10Fmr).toBeLessThan(-5);
      return 'OK';
    },
    (status: unknown) => (status as { reason: string }).reason,
  );
}

/** Answers until the budget is spent. */
async function answersLeft(identification: IdentificationClient): Promise<number> {
  for (let answers = 0; answers <= VERIFICATIONS_PER_PAIR_DAY; answers++) {
    const outcome = await compare(identification);
    if (outcome === SPENT) return answers;
    expect(outcome).toBe('OK');
  }
  throw new Error('the budget does not end');
}

/** What a comparison costs: exact answers cost one for each of the three samples. */
const SAMPLES = 3;
const IN_ALL = Math.floor(VERIFICATIONS_PER_PAIR_DAY / SAMPLES);

async function recordsOf(subject: string): Promise<AuditRecord[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ entry: string }>(
    'SELECT entry FROM audit_record WHERE subjects @> ARRAY[$1::uuid] ORDER BY writer, seq',
    [subject],
  );
  await client.end();
  return rows.map(({ entry }) => JSON.parse(entry) as AuditRecord);
}

describe('budgets of comparisons', () => {
  it('survive a restart, and the audit says what each call has cost', async () => {
    const by = await examiner();
    for (let i = 0; i < 2; i++) expect(await compare(to(by))).toBe('OK');
    const records = await recordsOf(subjectId);
    const charged = records.filter(({ kind, method }) => kind !== 'hit' && method === 'Identification/Verify');
    expect(charged.map((record) => record.charged)).toEqual([
      { client: SAMPLES, subject: SAMPLES },
      { client: SAMPLES, subject: SAMPLES },
    ]);
    await running.stop();
    running = await runService(url);
    expect(await answersLeft(to(by))).toBe(IN_ALL - 2);
  });

  it('are shared by the services on a database', async () => {
    const second = await runService(url);
    const by = await examiner();
    await expect.poll(() => compare(to(by, second)), { timeout: 10_000 }).toBe('OK');
    for (let i = 0; i < 2; i++) expect(await compare(to(by, second))).toBe('OK');
    // Until the first service has read the records of the second.
    const own = to(by);
    let answers = 0;
    const started = performance.now();
    await expect
      .poll(
        async () => {
          const outcome = await compare(own);
          if (outcome === 'OK') answers++;
          return outcome;
        },
        { interval: 1500, timeout: 20_000 },
      )
      .toBe(SPENT);
    expect(answers).toBeLessThan(IN_ALL);
    expect(performance.now() - started).toBeLessThan(20_000);
    await second.stop();
  });

  it('are spent after kill -9 by at least what was answered before', async () => {
    const by = await examiner();
    const script = join(import.meta.dirname, 'service-to-kill.ts');
    const child = spawn(process.execPath, [script, url, dataDirectoryOf(url)], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    const identification = new IdentificationClient(
      `127.0.0.1:${Number(port.toString())}`,
      credentials.createInsecure(),
      { ...DIRECT_CHANNEL, interceptors: [bearer(by.token)] },
    );
    let answered = 0;
    const calls = Array.from({ length: IN_ALL }, async () => {
      if ((await compare(identification)) !== 'OK') return;
      answered++;
      if (answered === 3) child.kill('SIGKILL');
    });
    await Promise.all([...calls, once(child, 'exit')]);
    identification.close();
    expect(answered).toBeGreaterThanOrEqual(3);
    await running.stop();
    running = await runService(url);
    expect(answered + (await answersLeft(to(by)))).toBeLessThanOrEqual(IN_ALL);
  });
});

describe('a budget that is spent again and again', () => {
  const alarmsOf = async (subject: string) =>
    (await recordsOf(subject)).filter(({ reason }) => reason === 'VERIFY_BUDGET_ALARM');

  it('raises an alarm, once: in the log and the metrics without the subject, in the audit with it', async () => {
    const by = await examiner();
    await answersLeft(to(by));
    for (let i = 1; i < REFUSALS_TO_ALARM + 5; i++) expect(await compare(to(by))).toBe(SPENT);
    await expect.poll(async () => (await alarmsOf(subjectId)).length).toBe(1);
    expect(await alarmsOf(subjectId)).toMatchObject([
      { kind: 'administration', client_id: by.clientId, agency: 'agency', subject_id: subjectId, outcome: 'OK' },
    ]);
    const lines = running.log.filter((line) => line.includes('is spent again and again'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      client: by.clientId,
      scope: 'client',
      refusals: REFUSALS_TO_ALARM,
    });
    expect(lines[0]).not.toContain(subjectId);
    expect(await metricsOf(running)).toMatch(/^ridgewatch_refused_total\{reason="VERIFY_BUDGET_ALARM"\} 1$/m);
    await running.stop();
    running = await runService(url);
    for (let i = 0; i < REFUSALS_TO_ALARM; i++) expect(await compare(to(by))).toBe(SPENT);
    expect(running.log.filter((line) => line.includes('is spent again and again'))).toHaveLength(0);
  });
});
