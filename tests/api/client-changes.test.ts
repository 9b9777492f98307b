/** Changed rights and revoked credentials: who may change them, and what that means for calls under way. */
import { status as Code, type ServiceError } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/audit-entry.ts';
import { readServiceError } from '../../src/api/status.ts';
import {
  AccessClient,
  Role,
  type Client,
  type RegisteredClient,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import { call, identifyRequest, refused, runService, samplesOf, type RunningService } from './running-service.ts';

let cluster: TestCluster;
let url: string;
let running: RunningService;
let access: AccessClient;

const clients = registeredClients(() => running);
const tokenOf = ({ headers }: RunningService) => headers.authorization.replace('Bearer ', '');

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url);
  access = clients.clientOf(AccessClient, tokenOf(running));
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const NONE: Client = {
  clientId: '',
  kind: 0,
  agency: '',
  roles: [],
  allGalleries: false,
  galleries: [],
  purposes: [],
  clearance: 0,
  callsPerSecond: 0,
  streams: 0,
  verificationsPerDay: 0,
};

/** @param registered - what the change is based on */
const update = (registered: RegisteredClient | undefined, changes: Partial<Client>, by = access) =>
  call(by, by.updateClient.bind(by), {
    client: { ...NONE, clientId: registered?.client?.clientId ?? '', ...changes },
    updateMask: Object.keys(changes)
      .filter((field) => field !== 'allGalleries')
      .map((field) => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)),
    etag: registered?.etag ?? '',
  });
const revoke = (registered: RegisteredClient | undefined, credentialId: string, by = access) =>
  call(by, by.revokeCredential.bind(by), { clientId: registered?.client?.clientId ?? '', credentialId });
const list = (pageSize: number, pageToken: string, by = access) =>
  call(by, by.listClients.bind(by), { pageSize, pageToken });
const idsOf = (page: { clients: RegisteredClient[] }) => page.clients.map(({ client }) => client?.clientId ?? '');

/** A stream of searches. */
function openStream(token: string, to = running) {
  const stream = clients.clientOf(IdentificationClient, token, to).identifyStream();
  const waiting = new Map<string, (answer: IdentifyStreamResponse) => void>();
  stream.on('data', (answer: IdentifyStreamResponse) => waiting.get(answer.requestId)?.(answer));
  const status = new Promise<unknown>((resolve) =>
    stream.on('error', (error) => resolve(readServiceError(error as ServiceError))),
  );
  let count = 0;
  const ask = (): Promise<IdentifyStreamResponse> => {
    const clientRequestId = `search-${count++}`;
    return new Promise((resolve) => {
      waiting.set(clientRequestId, resolve);
      stream.write({ request: identifyRequest(samplesOf(1, 1), { clientRequestId }) });
    });
  };
  return { ask, status, end: () => stream.end() };
}
const isAnswered = ({ outcome }: IdentifyStreamResponse) => outcome?.$case === 'response';

describe('changing a client', () => {
  it('changes the named fields and nothing else', async () => {
    const { client } = await clients.add({ galleries: ['a'], allGalleries: false, clearance: 2, streams: 7 });
    const { client: changed } = await update(client, { galleries: ['b', 'c'], callsPerSecond: 5, streams: 0 });
    expect(changed?.client).toEqual({ ...client?.client, galleries: ['b', 'c'], callsPerSecond: 5, streams: 0 });
    expect(changed?.credentials).toEqual(client?.credentials);
    const { client: all } = await update(changed, { allGalleries: true, galleries: [] });
    expect(all?.client).toMatchObject({ allGalleries: true, galleries: [], clearance: 2 });
    const { client: back } = await update(all, { allGalleries: false, galleries: ['c', 'b'] });
    // Equal rights have equal etags.
    expect([changed?.etag === back?.etag, changed?.etag === all?.etag]).toEqual([true, false]);
  });

  it('lets one of several administrators win', async () => {
    const { client } = await clients.add();
    const changes = await Promise.allSettled([1, 2, 3].map((clearance) => update(client, { clearance })));
    const lost = changes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(lost).toMatchObject([
      { code: Code.ABORTED, reason: 'CLIENT_CHANGED' },
      { code: Code.ABORTED, reason: 'CLIENT_CHANGED' },
    ]);
  });

  it('names every fault of a request', async () => {
    const { client } = await clients.add();
    const bad = call(access, access.updateClient.bind(access), {
      client: { ...NONE, clientId: client?.client?.clientId ?? '', roles: [], clearance: 9, agency: 'ignored?' },
      updateMask: ['roles', 'clearance', 'agency'],
      etag: '',
    });
    expect((await refused(bad)).violations.map(({ field }) => field).sort()).toEqual([
      'client.clearance',
      'client.roles',
      'etag',
      'update_mask.paths[2]',
    ]);
    const unknown = update({ ...client, client: { ...NONE, clientId: 'unknown' } } as RegisteredClient, {
      clearance: 1,
    });
    expect(await refused(unknown)).toMatchObject({ code: Code.NOT_FOUND, reason: 'CLIENT_NOT_FOUND' });
  });

  it('is in force within a second, also for the next search of an open stream, in every service', async () => {
    const other = await runService(url);
    try {
      const { client, token } = await clients.add({ roles: [Role.ENGINEER], purposes: [Purpose.TEST] });
      // The other service learns of the client when the database tells it.
      const there = clients.clientOf(IdentificationClient, token, other);
      const search = () => call(there, there.identify.bind(there), identifyRequest(samplesOf(1, 1)));
      const isKnown = () =>
        search().then(
          () => true,
          () => false,
        );
      await expect.poll(isKnown, { timeout: 5000 }).toBe(true);
      const streams = [openStream(token), openStream(token, other)];
      for (const stream of streams) expect(isAnswered(await stream.ask())).toBe(true);
      const { client: less } = await update(client, { roles: [Role.MONITOR] });
      const changed = performance.now();
      for (const stream of streams)
        await expect.poll(async () => isAnswered(await stream.ask()), { interval: 10 }).toBe(false);
      expect(performance.now() - changed).toBeLessThan(1000);
      expect(await streams[0].ask()).toMatchObject({ outcome: { $case: 'error', value: { code: 7 } } });
      await update(less, { roles: [Role.ENGINEER] });
      expect(isAnswered(await streams[0].ask())).toBe(true);
      for (const stream of streams) stream.end();
    } finally {
      await other.stop();
    }
  });

  it('is recorded, with the administrator and the names of the fields', async () => {
    const { client } = await clients.add();
    const clientId = client?.client?.clientId ?? '';
    const { client: changed } = await update(client, { clearance: 1, purposes: [Purpose.TEST] });
    const credentialId = changed?.credentials[0]?.credentialId ?? '';
    await revoke(changed, credentialId);
    const database = new pg.Client({ connectionString: url });
    await database.connect();
    const { rows } = await database.query<{ entry: string }>(
      "SELECT entry FROM audit_record WHERE entry::json->'facts'->>'changed_client' = $1 ORDER BY writer, seq",
      [clientId],
    );
    await database.end();
    expect(rows.map(({ entry }) => JSON.parse(entry) as AuditRecord)).toMatchObject([
      {
        kind: 'administration',
        client_id: 'local',
        method: 'Access/UpdateClient',
        facts: { changed_fields: 'clearance, purposes' },
      },
      {
        kind: 'administration',
        client_id: 'local',
        method: 'Access/RevokeCredential',
        facts: { revoked_credential: credentialId },
      },
    ]);
  });
});

describe('a revoked credential', () => {
  it('is refused for ever, and ends its streams, while another one of the client stays', async () => {
    const { client, token } = await clients.add({ roles: [Role.ENGINEER] });
    const clientId = client?.client?.clientId ?? '';
    const { client: both, token: second } = await call(access, access.rotateCredential.bind(access), {
      clientId,
      credential: { how: { $case: 'token', value: true }, expireTime: undefined },
      overlapSeconds: 3600,
    });
    const [stream, kept] = [openStream(token), openStream(second)];
    expect([isAnswered(await stream.ask()), isAnswered(await kept.ask())]).toEqual([true, true]);
    const first = client?.credentials[0]?.credentialId ?? '';
    const started = performance.now();
    const { client: left } = await revoke(both, first);
    expect(await stream.status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CREDENTIAL_REVOKED' });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(left?.credentials).toMatchObject([{ credentialId: first, revokedBy: 'local' }, { revokedBy: '' }]);
    const identification = clients.clientOf(IdentificationClient, token);
    const search = call(identification, identification.identify.bind(identification), identifyRequest(samplesOf(1, 1)));
    expect(await refused(search)).toMatchObject({ reason: 'CREDENTIAL_REVOKED' });
    expect(isAnswered(await kept.ask())).toBe(true);
    kept.end();
    // Again: the time and the name of the first stay.
    expect((await revoke(both, first)).client?.credentials[0]?.revokeTime).toEqual(left?.credentials[0]?.revokeTime);
    expect(await refused(revoke(both, '0b9f2a4c-6a55-4f3e-9a53-0c1f6d8f9f10'))).toMatchObject({
      code: Code.NOT_FOUND,
      reason: 'CREDENTIAL_NOT_FOUND',
    });
  });
});

describe('administrators', () => {
  it('cannot change their own rights', async () => {
    const { client, token } = await clients.add({ roles: [Role.ADMINISTRATOR] });
    const own = clients.clientOf(AccessClient, token);
    const greedy = update(client, { roles: [Role.ADMINISTRATOR, Role.EXAMINER] }, own);
    expect(await refused(greedy)).toMatchObject({ code: Code.PERMISSION_DENIED, reason: 'CLIENT_IS_OWN' });
  });

  it('cannot all be lost, by changes and revocations at the same time neither', async () => {
    const alone = await runService(await cluster.createDatabase());
    try {
      const local = clients.clientOf(AccessClient, tokenOf(alone), alone);
      const { client, token } = await call(local, local.addClient.bind(local), {
        client: { ...NONE, clientId: 'second', kind: 2, agency: 'agency', roles: [Role.ADMINISTRATOR] },
        credential: { how: { $case: 'token', value: true }, expireTime: undefined },
      });
      const second = clients.clientOf(AccessClient, token, alone);
      const [first] = (await list(0, '', local)).clients;
      const credentialOf = (one: RegisteredClient | undefined) => one?.credentials[0]?.credentialId ?? '';
      const outcomes = await Promise.allSettled([
        update(first, { roles: [Role.OPERATOR] }, second),
        update(client, { roles: [Role.OPERATOR] }, local),
        revoke(first, credentialOf(first), second),
        revoke(client, credentialOf(client), local),
      ]);
      const reasons = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as { reason: string }] : []));
      expect(reasons.length).toBeGreaterThan(0);
      const remaining = await Promise.allSettled([list(0, '', local), list(0, '', second)]);
      const able = remaining.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(able).toHaveLength(1);
      const isLocal = remaining[0].status === 'fulfilled';
      const [last, by] = isLocal ? [able[0].clients[0], local] : [able[0].clients[1], second];
      expect(await refused(revoke(last, credentialOf(last), by))).toMatchObject({
        code: Code.FAILED_PRECONDITION,
        reason: 'LAST_ADMINISTRATOR',
      });
    } finally {
      await alone.stop();
    }
  });
});

describe('the list of clients', () => {
  it('comes in pages, each client once and in order', async () => {
    for (let i = 0; i < 5; i++) await clients.add();
    const all = idsOf(await list(1000, ''));
    const paged: string[] = [];
    let token = '';
    do {
      const page = await list(2, token);
      expect(page.clients.length).toBeLessThanOrEqual(2);
      paged.push(...idsOf(page));
      token = page.nextPageToken;
    } while (token !== '');
    expect(paged).toEqual(all);
    expect(paged).toEqual([...paged].sort());
  });

  it.each(['x', 'YWZ0ZXI6', `${Buffer.from('after:local').toString('base64url')}=`])(
    'refuses the token %s',
    async (token) => {
      expect(await refused(list(2, token))).toMatchObject({
        code: Code.INVALID_ARGUMENT,
        reason: 'PAGE_TOKEN_INVALID',
      });
    },
  );

  it('never has a name twice: that of a disabled client stays taken', async () => {
    const { client } = await clients.add();
    const clientId = client?.client?.clientId ?? '';
    await call(access, access.disableClient.bind(access), { clientId, reason: 'a test' });
    expect(await refused(clients.add({ clientId }))).toMatchObject({ reason: 'CLIENT_EXISTS' });
    expect(await refused(update(client, { clearance: 1 }))).toMatchObject({ reason: 'CLIENT_DISABLED' });
    expect(idsOf(await list(1000, '')).filter((id) => id === clientId)).toHaveLength(1);
  });
});
