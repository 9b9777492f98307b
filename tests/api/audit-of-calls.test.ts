/** Every call leaves a record before its answer. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessClient, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient, Purpose } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
  callsOf,
  dataDirectoryOf,
  enrolPerson,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
const clients = registeredClients(() => running);
const calls = callsOf(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url, { RIDGEWATCH_HTTP_IDENTIFY: 'true' });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

async function records(where: string, value: string): Promise<AuditRecord[]> {
  const { rows } = await sql<{ entry: string }>(`SELECT entry FROM audit_record WHERE ${where} ORDER BY writer, seq`, [
    value,
  ]);
  return rows.map(({ entry }) => JSON.parse(entry) as AuditRecord);
}

async function sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = [], to = url) {
  const client = new pg.Client({ connectionString: to });
  await client.connect();
  try {
    return await client.query<Row>(text, values);
  } finally {
    await client.end();
  }
}
const ofRequest = (requestId: string) => records(`entry::json->>'request_id' = $1`, requestId);

describe('a record', () => {
  it('of a search says who asked, why and what, and which subjects the caller saw', async () => {
    const { subject } = await enrolPerson(running, 1);
    const by = await clients.as({ agency: 'agency-x', roles: [Role.EXAMINER], clearance: 1 });
    const { identification } = by;
    const request = identifyRequest(samplesOf(1, 1), { purpose: Purpose.INVESTIGATION, clientRequestId: 'search-1' });
    const answer = await call(identification, identification.identify.bind(identification), request);
    const found = (await ofRequest('search-1')).filter(({ kind }) => kind === 'call');
    expect(found).toMatchObject([
      {
        kind: 'call',
        client_id: by.clientId,
        agency: 'agency-x',
        method: 'Identification/Identify',
        action: 'identify',
        purpose: 'investigation',
        checkpoint_id: 'gate-1',
        gallery_version: answer.galleryVersion,
        classes: { count: 1 },
        candidates: [{ subject_id: subject?.subjectId, rank: 1 }],
        outcome: 'OK',
        peer: '127.0.0.1',
      },
    ]);
    expect(found[0]?.credential).toMatch(/^[0-9a-f]{64}$/);
    expect(found[0]?.policy).toMatch(/^[0-9a-f]{64}$/);
    expect(found[0]?.probe).toMatch(/:/);
    // Nothing of the probe or the token.
    const text = JSON.stringify(found);
    for (const sample of request.samples) expect(text).not.toContain(sample.data.toString('base64').slice(0, 40));
    expect(text).not.toContain(by.token);
    // The second one is what the owner is told.
    const about = await records('$1::uuid = ANY(subjects)', subject?.subjectId ?? '');
    expect(about.map(({ kind }) => kind)).toEqual(['call', 'hit', 'call']);
  });

  it('is there for each kind of call, with the subject', async () => {
    const { subject } = await enrolPerson(running, 2);
    const id = subject?.subjectId ?? '';
    const { gallery } = running;
    await call(gallery, gallery.getSubject.bind(gallery), { subjectId: id });
    await calls.verify(samplesOf(2, 1), { $case: 'subjectId', value: id });
    await calls.expunge(id);
    expect((await records('$1::uuid = ANY(subjects)', id)).map(({ method }) => method)).toEqual([
      'Gallery/Enroll',
      'Gallery/GetSubject',
      'Identification/Verify',
      'Identification/Verify',
      'Gallery/ExpungeSubject',
    ]);
  });

  it('of a stream that is ended says how many subjects it has enrolled, the batch under way included', async () => {
    const { client, token } = await clients.add({ roles: [Role.CONTRIBUTOR] });
    const clientId = client?.client?.clientId ?? '';
    const gallery = clients.clientOf(GalleryClient, token);
    const access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
    const blocker = new pg.Client({ connectionString: url });
    await blocker.connect();
    try {
      await blocker.query('BEGIN; LOCK TABLE change IN EXCLUSIVE MODE');
      const status = new Promise((resolve) => {
        const stream = gallery.enrollStream((error) => resolve(error?.code));
        for (let i = 0; i < 100; i++) stream.write({ record: enrolRequest(samplesOf(3, 0)) });
      });
      const waiting = 'SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass';
      await expect.poll(async () => (await sql(waiting, ['change'])).rowCount, { timeout: 10_000 }).toBe(1);
      await call(access, access.disableClient.bind(access), { clientId, reason: 'a test' });
      await blocker.query('COMMIT');
      expect(await status).toBe(Code.UNAUTHENTICATED);
    } finally {
      await blocker.end();
    }
    const all = await records(`entry::json->>'method' = 'Gallery/EnrollStream' AND client_id = $1`, clientId);
    // One for the batch, and the last one for the call.
    const record = all.at(-1);
    expect(all[0]).toMatchObject({ outcome: 'OK' });
    expect(record).toMatchObject({ outcome: 'UNAUTHENTICATED', reason: 'CLIENT_DISABLED' });
    expect(record?.facts).toMatchObject({ enrolled_count: 100, refused_count: 0 });
  });

  it('is made of refusals too, known callers by name, others counted', async () => {
    const by = await clients.as({ agency: 'agency-x', roles: [Role.MONITOR] });
    const ask = (client: IdentificationClient) =>
      refused(call(client, client.identify.bind(client), identifyRequest(samplesOf(1, 1))));
    expect(await ask(by.identification)).toMatchObject({ code: Code.PERMISSION_DENIED });
    const stranger = clients.clientOf(IdentificationClient, undefined);
    for (let i = 0; i < 5; i++) expect(await ask(stranger)).toMatchObject({ reason: 'CREDENTIALS_REQUIRED' });
    await expect
      .poll(() => records("kind = 'refused' AND entry::json->>'reason' = $1", 'CREDENTIALS_REQUIRED'), {
        timeout: 5000,
      })
      .not.toEqual([]);
    const nameless = await records("kind = 'refused' AND entry::json->>'reason' = $1", 'CREDENTIALS_REQUIRED');
    expect(nameless.reduce((sum, { count = 1 }) => sum + count, 0)).toBe(5);
    expect(await records('client_id = $1', by.clientId)).toMatchObject([
      { kind: 'refused', reason: 'ACTION_NOT_PERMITTED', agency: 'agency-x' },
    ]);
  });

  it('is made of searches over HTTP', async () => {
    const { samples } = identifyRequest(samplesOf(1, 1));
    const body = {
      samples: samples.map(({ data, ...sample }) => ({ ...sample, data: data.toString('base64') })),
      purpose: 'PURPOSE_TEST',
      checkpoint_id: 'gate-1',
      client_request_id: 'http-1',
    };
    const response = await fetch(`http://127.0.0.1:${running.service.httpPort}/v1/identify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...running.headers },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(200);
    const made = (await ofRequest('http-1')).filter(({ kind }) => kind === 'call');
    expect(made).toMatchObject([{ client_id: 'local', outcome: 'OK', peer: '127.0.0.1' }]);
  });

  it('of an early answer precedes it, and that of the last one follows', async () => {
    const { identification } = running;
    const stream = identification.identifyStream();
    const early: unknown[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', () => void ofRequest('early-1').then((found) => early.push(found.length)));
      stream.on('end', resolve);
      stream.on('error', reject);
    });
    const request = identifyRequest(samplesOf(1, 1), { firstHit: true, clientRequestId: 'early-1' });
    stream.write({ request });
    stream.end();
    await ended;
    await expect.poll(() => early.length).toBeGreaterThan(0);
    for (const count of early) expect(count).toBeGreaterThan(0);
  });
});

it('is verified by the command line, and a change by hand is named', async () => {
  await enrolPerson(running, 3);
  const env = { DATABASE_URL: url };
  const verify = () => ridgewatch(['audit', 'verify', '--data-dir', dataDirectoryOf(url)], env);
  expect(await verify()).toMatchObject({ code: 0 });
  const change = async (from: string, to: string, where: string) => {
    await sql('ALTER TABLE audit_record DISABLE TRIGGER ALL');
    const text = `UPDATE audit_record SET entry = replace(entry, '${from}', '${to}') WHERE ${where} RETURNING seq`;
    const { rows } = await sql<{ seq: string }>(text);
    await sql('ALTER TABLE audit_record ENABLE TRIGGER ALL');
    return rows[0]?.seq;
  };
  const first = `(writer, seq) = (SELECT writer, seq FROM audit_record WHERE client_id = 'local' ORDER BY seq LIMIT 1)`;
  const seq = await change('"local"', '"nobody"', first);
  const found = await verify();
  await change('"nobody"', '"local"', first);
  expect([found.code, found.stdout]).toEqual([9, expect.stringContaining(`number ${seq};`)]);
  expect(await verify()).toMatchObject({ code: 0 });
});

it('refuses answers that cannot be recorded', async () => {
  const alone = await cluster.createDatabase();
  const other = await runService(alone, { RIDGEWATCH_AUDIT_SPOOL_BYTES: '65536' });
  try {
    await sql('ALTER TABLE audit_record RENAME TO audit_record_away', [], alone);
    const own = callsOf(() => other);
    // The records go to the file until that is full.
    const outcome = async () =>
      own.identify(samplesOf(1, 1)).then(
        () => 'OK',
        (s: unknown) => (s as { reason: string }).reason,
      );
    let last = 'OK';
    let answered = 0;
    for (; last === 'OK' && answered < 500; answered++) last = await outcome();
    expect([last, answered > 1]).toEqual(['AUDIT_UNAVAILABLE', true]);
    await sql('ALTER TABLE audit_record_away RENAME TO audit_record', [], alone);
    await expect.poll(outcome, { timeout: 20_000 }).toBe('OK');
  } finally {
    await other.stop();
  }
});
