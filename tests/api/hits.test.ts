/** The owner of a record is told when a search finds it. */
import { status as Code } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessClient, Client, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { AuditClient } from '../../src/contract/generated/ridgewatch/v1/audit.ts';
import { Provenance } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { Purpose, type IdentifyRequest } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { Band } from '../../src/contract/generated/ridgewatch/v1/sample.ts';
import { HitKind, SharingClient } from '../../src/contract/generated/ridgewatch/v1/sharing.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { watch } from './hit-watching.ts';
import { registeredClients, type ActingClient } from './registered-clients.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';
import { UNLIMITED } from '../../src/store/records.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
const clients = registeredClients(() => running);
let agencies = 0;
const newAgency = () => `owner-${agencies++}`;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

async function enrol(person: number, contributor: string, caveats: readonly string[] = []): Promise<string> {
  const { subject } = await call(running.gallery, running.gallery.enroll.bind(running.gallery), {
    ...enrolRequest(samplesOf(person, 0)),
    data: {
      contributor,
      externalId: '',
      galleries: [`of-${contributor}`],
      caveats: [...caveats],
      provenance: Provenance.CONTROLLED,
      ...UNLIMITED,
    },
  });
  return subject?.subjectId ?? '';
}

const owner = (agency: string, changes: Parameters<typeof clients.as>[0] = {}) =>
  clients.as({ agency, roles: [Role.CONTRIBUTOR], ...changes });
const gate = () => clients.as({ agency: 'border' });

function search(by: ActingClient, person: number, agency: string, changes: Partial<IdentifyRequest> = {}) {
  const { identification } = by;
  const request = identifyRequest(samplesOf(person, 1), {
    purpose: Purpose.BORDER_CHECK,
    galleries: [`of-${agency}`],
    ...changes,
  });
  return call(identification, identification.identify.bind(identification), request);
}

const acknowledge = ({ sharing }: ActingClient, position: number) =>
  call(sharing, sharing.acknowledgeHits.bind(sharing), { position });

describe('the owner of a record', () => {
  it('is told of a hit: when, where, what for and how alike, and nothing of the client that searched', async () => {
    const agency = newAgency();
    const subjectId = await enrol(1, agency);
    const [by, at] = [await owner(agency), await gate()];
    const watching = watch(by.sharing);
    await watching.caughtUp();
    const before = Date.now();
    const { candidates } = await search(at, 1, agency, { clientRequestId: 'hit-1' });
    const [hit] = await watching.until(1);
    expect(hit).toMatchObject({
      subjectId,
      searchingAgency: 'border',
      checkpointId: 'gate-1',
      purpose: Purpose.BORDER_CHECK,
      band: Band.STRONG_CANDIDATE,
      rank: 1,
      silent: false,
      kind: HitKind.IDENTIFICATION,
      requestId: 'hit-1',
      detailsLost: false,
    });
    expect(candidates.map((one) => one.subjectId)).toEqual([subjectId]);
    expect(hit?.time?.getTime()).toBeGreaterThanOrEqual(before);
    expect(JSON.stringify(hit)).not.toContain(at.clientId);
    watching.stop();
  });

  it('is told when its record is compared with, and matches', async () => {
    const agency = newAgency();
    const subjectId = await enrol(2, agency);
    const by = await owner(agency);
    const examiner = await clients.as({ agency: 'border', roles: [Role.EXAMINER] });
    const { identification } = examiner;
    for (const person of [3, 2])
      await call(identification, identification.verify.bind(identification), {
        samples: samplesOf(person, 1),
        claim: { $case: 'subjectId', value: subjectId },
        purpose: Purpose.INVESTIGATION,
        checkpointId: 'desk-1',
        clientRequestId: `verify-${person}`,
      });
    const watching = watch(by.sharing);
    await watching.caughtUp();
    expect(watching.hits).toMatchObject([{ kind: HitKind.VERIFICATION, rank: 0, requestId: 'verify-2', subjectId }]);
    watching.stop();
  });

  it('is told only of candidates at the threshold of the service, whatever was asked for', async () => {
    const agency = newAgency();
    await enrol(4, agency);
    const by = await owner(agency);
    const examiner = await clients.as({ agency: 'border', roles: [Role.EXAMINER] });
    await search(examiner, 5, agency, { threshold: { $case: 'maxLog10Fmr', value: 0 } });
    const watching = watch(by.sharing);
    await watching.caughtUp();
    expect(watching.hits).toEqual([]);
    watching.stop();
  });

  it('alone is told, and clients of its own that may not see the record are not', async () => {
    const agency = newAgency();
    await enrol(6, agency, ['SECRET']);
    const at = await clients.as({ agency: 'border', clearance: 3 });
    await search(at, 6, agency);
    const [cleared, uncleared] = [await owner(agency, { clearance: 3 }), await owner(agency)];
    const streams = [cleared, uncleared, await owner('border', { clearance: 3 })].map(({ sharing }) => watch(sharing));
    await Promise.all(streams.map((stream) => stream.caughtUp()));
    expect(streams.map(({ hits }) => hits.length)).toEqual([1, 0, 0]);
    // What may not be seen is passed over, not waited for.
    expect(streams[1]?.positions.at(-1)).toBe(streams[0]?.positions.at(-1));
    for (const stream of streams) stream.stop();
  });
});

describe('a silent hit', () => {
  it('is told to the owner; the answer to the search is the one that there would be without the record', async () => {
    const agency = newAgency();
    const [shown] = [await enrol(7, agency)];
    const at = await gate();
    const answerOf = async (person: number) => {
      const answer = await search(at, person, agency);
      return { ...answer, requestId: '', elapsed: undefined, galleryVersion: 0 };
    };
    const without = [await answerOf(7), await answerOf(8)];
    const hidden = await enrol(8, agency, ['SILENT']);
    expect([await answerOf(7), await answerOf(8)]).toEqual(without);
    const by = await owner(agency);
    const watching = watch(by.sharing);
    await watching.caughtUp();
    expect(watching.hits.map(({ subjectId, silent, rank }) => [subjectId, silent, rank])).toEqual([
      [shown, false, 1],
      [shown, false, 1],
      [hidden, true, 0],
    ]);
    watching.stop();
    // Its own clients see the record.
    const own = await clients.as({ agency });
    expect((await search(own, 8, agency)).candidates.map(({ subjectId }) => subjectId)).toEqual([hidden]);
  });

  it('is not to be counted by auditors of the searching agency: each search leaves as many records', async () => {
    const agency = newAgency();
    await enrol(13, agency, ['SILENT']);
    await enrol(15, agency);
    const at = await gate();
    const { token } = await clients.as({ agency: 'border', roles: [Role.AUDITOR], galleries: [`of-${agency}`] });
    const audit = clients.clientOf(AuditClient, token);
    const heads = async () => {
      const request = { afterWriter: '', pageSize: 0 };
      return (await call(audit, audit.getAuditHeads.bind(audit), request)).heads.reduce((sum, { seq }) => sum + seq, 0);
    };
    const recordsOf = async (person: number) => {
      const before = await heads();
      const { candidates } = await search(at, person, agency);
      return [candidates.length, (await heads()) - before];
    };
    const [silent, none, shown] = [await recordsOf(13), await recordsOf(14), await recordsOf(15)];
    expect(silent).toEqual(none);
    // Each hit that is shown is in the answer, too.
    expect(shown).toEqual([1, (none[1] ?? 0) + 1]);
  });

  it('comes from no record that is not released to the searching agency', async () => {
    const agency = newAgency();
    await enrol(9, agency, ['SILENT', 'ORCON']);
    await enrol(9, agency, ['SILENT', 'SUSPENDED']);
    await search(await gate(), 9, agency);
    const watching = watch((await owner(agency)).sharing);
    await watching.caughtUp();
    expect(watching.hits).toEqual([]);
    watching.stop();
  });
});

describe('a stream of hits', () => {
  it('tells nothing of an audit record that was changed', async () => {
    const agency = newAgency();
    const subjectId = await enrol(16, agency);
    await search(await gate(), 16, agency);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    await database.query("SET session_replication_role = 'replica'");
    const sql = "UPDATE audit_record SET entry = replace(entry, 'gate-1', 'gate-9') WHERE kind = 'hit' AND agency = $1";
    const { rowCount } = await database.query(sql, [agency]);
    await database.end();
    expect(rowCount).toBe(1);
    const watching = watch((await owner(agency)).sharing);
    await watching.caughtUp();
    expect(watching.hits).toMatchObject([{ subjectId, detailsLost: true, checkpointId: '', log10Fmr: 0 }]);
    watching.stop();
  });

  it('goes on after the acknowledged position, over a restart of the service, and leaves none out', async () => {
    const agency = newAgency();
    await enrol(10, agency);
    const [by, at] = [await owner(agency), await gate()];
    const requests = ['a', 'b', 'c', 'd'];
    for (const clientRequestId of requests.slice(0, 2)) await search(at, 10, agency, { clientRequestId });
    const first = watch(by.sharing);
    const [hit] = await first.until(2);
    await acknowledge(by, hit?.position ?? 0);
    const stopped = first.ended;
    await running.stop();
    expect((await stopped).reason).toBe('STOPPING');
    running = await runService(url);
    const [again, there] = [await owner(agency), await gate()];
    for (const clientRequestId of requests.slice(2)) await search(there, 10, agency, { clientRequestId });
    // Each client has a position of its own.
    const all = watch(again.sharing);
    const rest = watch(clients.clientOf(SharingClient, by.token));
    expect((await all.until(4)).map(({ requestId }) => requestId)).toEqual(requests);
    expect((await rest.until(3)).map(({ requestId }) => requestId)).toEqual(requests.slice(1));
    expect(all.hits.map(({ hitId }) => hitId)).toEqual([hit?.hitId, ...rest.hits.map(({ hitId }) => hitId)]);
    const positions = all.hits.map(({ position }) => position);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    const later = watch(again.sharing, positions[2]);
    expect((await later.until(1)).map(({ requestId }) => requestId)).toEqual(['d']);
    for (const stream of [all, rest, later]) stream.stop();
  });

  it('refuses positions that no hit has reached', async () => {
    const by = await owner(newAgency());
    const refusal = { code: Code.INVALID_ARGUMENT, reason: 'POSITION_UNKNOWN' };
    expect(await refused(acknowledge(by, 1))).toMatchObject(refusal);
    expect(await watch(by.sharing, 1).ended).toMatchObject(refusal);
    expect(await acknowledge(by, 0)).toEqual({ position: 0 });
  });

  it('never goes back when a smaller position is acknowledged', async () => {
    const agency = newAgency();
    await enrol(11, agency);
    const [by, at] = [await owner(agency), await gate()];
    for (let i = 0; i < 2; i++) await search(at, 11, agency);
    expect([await acknowledge(by, 2), await acknowledge(by, 1)]).toEqual([{ position: 2 }, { position: 2 }]);
  });

  it('goes by the rights that its client has at that time', async () => {
    const agency = newAgency();
    await enrol(13, agency, ['SECRET']);
    await enrol(14, agency);
    const [by, at] = [await owner(agency, { clearance: 3 }), await clients.as({ agency: 'border', clearance: 3 })];
    const watching = watch(by.sharing);
    await search(at, 13, agency);
    await watching.until(1);
    const access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
    const { clients: all } = await call(access, access.listClients.bind(access), { pageSize: 1000, pageToken: '' });
    const registered = all.find(({ client }) => client?.clientId === by.clientId);
    const client = { ...Client.create({ clientId: by.clientId }), clearance: 0 };
    const etag = registered?.etag ?? '';
    await call(access, access.updateClient.bind(access), { client, updateMask: ['clearance'], etag });
    await search(at, 13, agency);
    await search(at, 14, agency);
    await watching.until(2);
    expect(watching.hits.map(({ position }) => position)).toEqual([1, 3]);
    watching.stop();
  });

  it('ends within a second when its client is disabled', async () => {
    const by = await owner(newAgency());
    const watching = watch(by.sharing);
    await watching.caughtUp();
    const access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
    const began = performance.now();
    await call(access, access.disableClient.bind(access), { clientId: by.clientId, reason: 'test' });
    expect((await watching.ended).code).toBe(Code.UNAUTHENTICATED);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('gets hits of another service on the same store', async () => {
    const agency = newAgency();
    await enrol(12, agency);
    const by = await owner(agency);
    const other = await runService(url);
    try {
      const watching = watch(clients.clientOf(SharingClient, by.token, other));
      await watching.caughtUp();
      await search(await gate(), 12, agency);
      expect(await watching.until(1)).toHaveLength(1);
      watching.stop();
    } finally {
      await other.stop();
    }
  });
});
