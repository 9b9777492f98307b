/** The audit read by calls: who reads what, in which pieces, and what a reading itself leaves behind. */
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { status as Code, type ServiceError } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecord as Recorded } from '../../src/audit/audit-entry.ts';
import { readAuditKey } from '../../src/audit/audit-key.ts';
import { ChainCheck, type Fault } from '../../src/audit/chain-check.ts';
import { digestOf } from '../../src/audit/chain.ts';
import { readServiceError } from '../../src/api/status.ts';
import { Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import {
  AuditClient,
  type AuditFilter,
  type AuditRecord,
  type ReadAuditRequest,
  type ReadAuditResponse,
} from '../../src/contract/generated/ridgewatch/v1/audit.ts';
import { Keys } from '../../src/security/keys.ts';
import { openTrail, search, subjectId } from '../audit/trails.ts';
import { ridgewatch } from '../cli/command.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import { call, dataDirectoryOf, refused, runService, type RunningService } from './running-service.ts';

/** Of two agencies by turns. */
const RECORDS = 4000;

let cluster: TestCluster;
let url: string;
let running: RunningService;
let database: pg.Client;
let auditor: AuditClient;
let auditorId: string;
const clients = registeredClients(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  database = new pg.Client({ connectionString: url });
  await database.connect();
  const keys = new Keys({ keyFile: undefined, dataDir: dataDirectoryOf(url) });
  keys.read();
  const trail = await openTrail(url, { dataDir: dataDirectoryOf(url), keys });
  await Promise.all(Array.from({ length: RECORDS }, (_, i) => trail.record(search(i, { agency: `agency.${i % 2}` }))));
  await trail.close();
  const { client, token } = await clients.add({ roles: [Role.AUDITOR], agency: 'agency.0' });
  auditorId = client?.client?.clientId ?? '';
  auditor = clients.clientOf(AuditClient, token);
});
afterAll(async () => {
  clients.close();
  await database.end();
  await running.stop();
  await cluster.stop();
});

const ALL: AuditFilter = {
  startTime: undefined,
  endTime: undefined,
  clientId: '',
  agency: '',
  subjectId: '',
  kind: '',
  method: '',
  writer: '',
};
const order = (filter: Partial<AuditFilter> = {}, changes: Partial<ReadAuditRequest> = {}): ReadAuditRequest => ({
  filter: { ...ALL, ...filter },
  after: undefined,
  maxRecords: 100_000,
  ...changes,
});

interface Reading {
  readonly records: AuditRecord[];
  readonly last: ReadAuditResponse | undefined;
}

async function read(request: ReadAuditRequest, by = auditor): Promise<Reading> {
  const records: AuditRecord[] = [];
  let last: ReadAuditResponse | undefined;
  const stream = by.readAudit(request);
  await new Promise((resolve, reject) => {
    stream.on('data', (answer: ReadAuditResponse) => {
      records.push(...answer.records);
      last = answer;
    });
    stream.on('end', resolve);
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what tests compare is the status
    stream.on('error', (error) => reject(readServiceError(error as ServiceError)));
  });
  return { records, last };
}

const textsOf = (records: readonly AuditRecord[]) =>
  records.flatMap(({ content }) => (content?.$case === 'text' ? [JSON.parse(content.value) as Recorded] : []));
const placesOf = (records: readonly Recorded[]) => records.map(({ writer, seq }) => `${writer} ${seq}`);

/** What is wrong with records that were read, as their reader finds it with the public key. */
function faultsOf(records: readonly AuditRecord[], store: string): Fault[] {
  const { fingerprint, publicKey } = readAuditKey(undefined, dataDirectoryOf(url));
  const keys = new Map([[fingerprint, createPublicKey(publicKey)]]);
  const faults: (Fault | undefined)[] = [];
  let check: ChainCheck | undefined;
  for (const { writer, seq, hash, signature, previous, content } of records) {
    if (previous.length > 0) {
      faults.push(check?.end());
      check = new ChainCheck({ writer, store, keys, after: { seq: seq - 1, hash: previous } });
    }
    const text = content?.$case === 'text' ? content.value : undefined;
    const digest = content?.$case === 'digest' ? content.value : digestOf(text ?? '');
    const signed = signature.length === 0 ? undefined : signature;
    faults.push(check?.take({ writer, seq, hash, signature: signed, text, digest, foundBy: undefined }));
  }
  faults.push(check?.end());
  return faults.flatMap((fault) => (fault === undefined ? [] : [fault]));
}

async function stored(where: string): Promise<Recorded[]> {
  const { rows } = await database.query<{ entry: string }>(
    `SELECT entry FROM audit_record WHERE ${where} ORDER BY writer, seq`,
  );
  return rows.map(({ entry }) => JSON.parse(entry) as Recorded);
}

describe('a reading', () => {
  it('gives every record as it is stored, and the chain can be verified by it', async () => {
    const before = await stored('true');
    const { records, last } = await read(order());
    const texts = textsOf(records);
    const found = new Set(placesOf(texts));
    expect(placesOf(before).filter((place) => !found.has(place))).toEqual([]);
    expect(texts).toEqual(expect.arrayContaining(before.slice(0, 50)));
    expect(last?.complete).toBe(true);
    expect(faultsOf(records, last?.storeId ?? '')).toEqual([]);
    const spoilt = records.map((one) =>
      one.content?.$case === 'text'
        ? { ...one, content: { $case: 'text' as const, value: one.content.value.replace('request 7"', 'request 8"') } }
        : one,
    );
    expect(faultsOf(spoilt, last?.storeId ?? '')).toMatchObject([{ kind: 'altered' }]);
  });

  it.each<[string, Partial<AuditFilter>, string]>([
    ['a client', { clientId: 'gate-1' }, "client_id = 'gate-1'"],
    ['an agency', { agency: 'agency.0' }, "agency = 'agency.0'"],
    ['a subject', { subjectId: subjectId(77) }, `subjects @> ARRAY['${subjectId(77)}'::uuid]`],
    ['a kind', { kind: 'start' }, "kind = 'start'"],
    ['a method', { method: 'Access/AddClient' }, "entry::json->>'method' = 'Access/AddClient'"],
    [
      'a time',
      { startTime: new Date('2026-01-01T00:00:05Z'), endTime: new Date('2026-01-01T00:00:06Z') },
      "at >= '2026-01-01T00:00:05Z' AND at < '2026-01-01T00:00:06Z'",
    ],
  ])('of %s gives what matches, and of the rest digests at most', async (_, filter, where) => {
    const { records, last } = await read(order(filter));
    // Readings leave records themselves.
    const others = (found: readonly Recorded[]) => placesOf(found.filter((one) => one.method !== 'Audit/ReadAudit'));
    expect(others(textsOf(records))).toEqual(others(await stored(where)));
    expect(faultsOf(records, last?.storeId ?? '')).toEqual([]);
  });

  it('goes on where another one ended', async () => {
    const filter = { clientId: 'gate-2' };
    const found: Recorded[] = [];
    let after: ReadAuditRequest['after'] = undefined;
    for (let isComplete = false; !isComplete;) {
      const { records, last }: Reading = await read(order(filter, { maxRecords: 350, after }));
      expect(faultsOf(records, last?.storeId ?? '')).toEqual([]);
      found.push(...textsOf(records));
      after = last?.position;
      isComplete = last?.complete === true;
    }
    expect(placesOf(found)).toEqual(placesOf(await stored("client_id = 'gate-2'")));
  });

  it('is recorded before its first record leaves, and when it ends', async () => {
    const stream = auditor.readAudit(order({ subjectId: subjectId(5) }));
    const ended = once(stream, 'end');
    await once(stream, 'data');
    const readings = `client_id = '${auditorId}' AND subjects @> ARRAY['${subjectId(5)}'::uuid]`;
    expect((await stored(readings)).length).toBeGreaterThan(0);
    stream.resume();
    await ended;
    expect(await stored(readings)).toMatchObject([
      { method: 'Audit/ReadAudit', action: 'read-whole-audit', subject_id: subjectId(5), outcome: 'OK' },
      // Two searches, and the beginning of this reading.
      { method: 'Audit/ReadAudit', outcome: 'OK', facts: { record_count: 3 } },
    ]);
    expect(running.log.join('')).not.toContain(subjectId(5));
  });

  it('holds no transaction while its reader takes nothing', async () => {
    const stream = auditor.readAudit(order());
    const ended = once(stream, 'end');
    await once(stream, 'data');
    stream.pause();
    // What fits into the buffers is sent; then the reading waits.
    const busy = async () => {
      const { rows } = await database.query<{ count: number }>(
        `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND xact_start IS NOT NULL AND (query LIKE '%audit_record%' OR state LIKE 'idle in%')`,
      );
      return rows[0]?.count;
    };
    await expect.poll(busy, { timeout: 8000 }).toBe(0);
    const received: ReadAuditResponse[] = [];
    stream.on('data', (answer: ReadAuditResponse) => void received.push(answer));
    stream.resume();
    await ended;
    expect(received.at(-1)?.complete).toBe(true);
  });

  it('names every fault of a request', async () => {
    const bad = read(
      order(
        { kind: 'x', subjectId: 'x', startTime: new Date(2), endTime: new Date(1) },
        { maxRecords: 100_001, after: { writer: 'x', seq: 0 } },
      ),
    );
    expect((await refused(bad)).violations.map(({ field }) => field).sort()).toEqual([
      'after.seq',
      'after.writer',
      'filter.kind',
      'filter.subject_id',
      'max_records',
    ]);
  });
});

describe('an auditor', () => {
  it('of some galleries reads the records of its own agency, and digests of the others', async () => {
    const { token } = await clients.add({ roles: [Role.AUDITOR], agency: 'agency.0', galleries: ['main'] });
    const own = clients.clientOf(AuditClient, token);
    const { records, last } = await read(order(), own);
    const texts = textsOf(records);
    expect(new Set(texts.map(({ agency }) => agency))).toEqual(new Set(['agency.0']));
    expect(faultsOf(records, last?.storeId ?? '')).toEqual([]);
    expect(await refused(read(order({ agency: 'agency 1' }), own))).toMatchObject({
      code: Code.INVALID_ARGUMENT,
    });
    expect(await refused(read(order({ agency: 'agency.1' }), own))).toMatchObject({
      code: Code.PERMISSION_DENIED,
      reason: 'CONTRIBUTOR_NOT_PERMITTED',
    });
  });

  it.each([Role.ADMINISTRATOR, Role.OPERATOR, Role.EXAMINER])('is no client of the role %i', async (role) => {
    const { token } = await clients.add({ roles: [role] });
    expect(await refused(read(order(), clients.clientOf(AuditClient, token)))).toMatchObject({
      code: Code.PERMISSION_DENIED,
      reason: 'ACTION_NOT_PERMITTED',
    });
  });

  it('gets the heads of all writers, page by page', async () => {
    const heads = [];
    let afterWriter = '';
    for (let isMore = true; isMore;) {
      const page = await call(auditor, auditor.getAuditHeads.bind(auditor), { pageSize: 1, afterWriter });
      heads.push(...page.heads);
      afterWriter = page.heads.at(-1)?.writer ?? '';
      isMore = page.more;
    }
    const { rows } = await database.query<{ writer: string; last: string }>(
      'SELECT writer, max(seq) AS last FROM audit_record GROUP BY writer ORDER BY writer',
    );
    expect(heads.map(({ writer }) => writer)).toEqual(rows.map(({ writer }) => writer));
    const closed = rows.findIndex(({ last }) => Number(last) > RECORDS);
    expect(heads[closed].seq).toBe(Number(rows[closed]?.last));
  });
});

it('ridgewatch audit read shows records, verifies them, and names where to go on', async () => {
  const pem = join(temporaryDirectory(), 'audit.pem');
  writeFileSync(pem, readAuditKey(undefined, dataDirectoryOf(url)).publicKey);
  const args = ['audit', 'read', '--address', `127.0.0.1:${running.service.grpcPort}`, '--client', 'gate-1'];
  const first = await ridgewatch([...args, '--limit', '3', '--public-key', pem, '--json']);
  expect([first.code, first.stderr]).toEqual([0, '']);
  const document = JSON.parse(first.stdout) as { records: Recorded[]; position: string };
  expect(document).toMatchObject({ complete: false, verified: true, faults: [] });
  expect(document.records.map(({ request_id }) => request_id)).toEqual(['request 1', 'request 4', 'request 7']);
  const next = await ridgewatch([...args, '--limit', '1', '--after', document.position]);
  expect(next.stdout).toContain('gate-1');
  expect(next.stdout).toContain('There may be more: --after');
  expect((await ridgewatch([...args, '--after', 'here'])).code).toBe(2);
});
