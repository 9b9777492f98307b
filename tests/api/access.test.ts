/** Who is let in: credentials, and what their end means for calls under way. */
import { Metadata, status as Code, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpGate } from '../../src/api/http-access.ts';
import { needOfMethod, needOfPath } from '../../src/api/needs.ts';
import { readServiceError } from '../../src/api/status.ts';
import { contract } from '../../src/contract/contract.ts';
import { AccessClient, Role, type AddClientRequest } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { OperationsClient } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { servicePages } from '../../src/observability/pages.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
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
let access: AccessClient;

beforeAll(async () => {
  cluster = await startTestCluster();
  url = await cluster.createDatabase();
  running = await runService(url, { RIDGEWATCH_HTTP_IDENTIFY: 'true' });
  access = clientOf(AccessClient, tokenOf(running));
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const tokenOf = ({ headers }: RunningService) => headers.authorization.replace('Bearer ', '');

const clients = registeredClients(() => running);
const clientOf: typeof clients.clientOf = (Client, token, to) => clients.clientOf(Client, token, to);
const add = (changes: Partial<AddClientRequest['client']> = {}, expireTime?: Date) =>
  clients.add({ allGalleries: true, purposes: [Purpose.TEST], ...changes }, expireTime);

const disable = (clientId: string, by = access) => call(by, by.disableClient.bind(by), { clientId, reason: 'a test' });
const identifyAs = (token: string | undefined) => {
  const client = clientOf(IdentificationClient, token);
  return call(client, client.identify.bind(client), identifyRequest(samplesOf(1, 1)));
};

describe('every method and every page', () => {
  const methods = [...contract().files]
    .filter(({ proto }) => proto.package === 'ridgewatch.v1')
    .flatMap(({ services }) =>
      services.flatMap(({ typeName, methods }) => methods.map(({ name }) => ({ typeName, name }))),
    );

  it.each(methods)(
    'of $typeName: $name declares an action, and refuses callers without credentials',
    async (method) => {
      const path = `/${method.typeName}/${method.name}`;
      const need = needOfMethod(path);
      expect(Array.isArray(need) && need.length > 0).toBe(true);
      const raw = clientOf(OperationsClient, undefined);
      const asItIs = (bytes: Buffer) => bytes;
      const status = await new Promise<ServiceError | null>((resolve) => {
        const stream = raw.makeBidiStreamRequest(path, asItIs, asItIs, new Metadata(), {
          deadline: Date.now() + 10_000,
        });
        stream.on('error', (error) => resolve(error as ServiceError));
        stream.on('end', () => resolve(null));
        stream.resume();
        stream.end(Buffer.alloc(0));
      });
      expect(status && readServiceError(status)).toMatchObject({
        code: Code.UNAUTHENTICATED,
        reason: 'CREDENTIALS_REQUIRED',
      });
    },
  );

  it('of the HTTP port declares what it needs; only health is open', async () => {
    const sources = { readiness: () => ({}), metrics: () => Promise.resolve({}) } as unknown as Parameters<
      typeof servicePages
    >[0];
    const at = `http://127.0.0.1:${running.service.httpPort}`;
    const open: string[] = [];
    for (const path of [...servicePages(sources).keys(), '/v1/identify']) {
      expect(needOfPath(path)).toBeDefined();
      const isPost = path === '/v1/identify';
      const response = await fetch(`${at}${path}`, {
        method: isPost ? 'POST' : 'GET',
        ...(isPost && { body: '{}', headers: { 'content-type': 'application/json' } }),
      });
      if (response.status === 200) open.push(path);
      else
        expect([response.status, await response.json()]).toMatchObject([
          401,
          { error: { reason: 'CREDENTIALS_REQUIRED' } },
        ]);
    }
    expect(open).toEqual(['/livez', '/readyz']);
    const gate = new HttpGate({ gatekeeper: () => undefined, turnedAway: () => undefined });
    expect(() => gate.page('/new', () => ({ status: 200, contentType: '', body: '' }))).toThrow('nothing is declared');
  });
});

describe('a token', () => {
  it('lets its client in, and no other text does', async () => {
    const { token, client } = await add({ roles: [Role.ENGINEER] });
    expect(token).toMatch(/^rwt_[A-Za-z0-9_-]{43}$/);
    expect(client?.credentials[0]?.fingerprint).not.toContain(token);
    await expect(identifyAs(token)).resolves.toMatchObject({ subjectsSearched: expect.any(Number) as number });
    const last = token.at(-1) === 'A' ? 'B' : 'A';
    for (const [text, reason] of [
      [token.slice(0, -1) + last, 'CREDENTIALS_UNKNOWN'],
      [token.slice(0, -1), 'CREDENTIALS_UNREADABLE'],
      [token.toUpperCase(), 'CREDENTIALS_UNREADABLE'],
      ['x'.repeat(4000), 'CREDENTIALS_UNREADABLE'],
    ] as const)
      expect(await refused(identifyAs(text))).toMatchObject({ code: Code.UNAUTHENTICATED, reason });
    const client2 = clientOf(IdentificationClient, undefined);
    const metadata = new Metadata();
    metadata.set('authorization', `Basic ${token}`);
    const error = await new Promise<ServiceError | null>((resolve) =>
      client2.identify(identifyRequest(samplesOf(1, 1)), metadata, resolve),
    );
    expect(error && readServiceError(error)).toMatchObject({ reason: 'CREDENTIALS_UNREADABLE' });
    expect(running.log.join('\n')).not.toContain(token);
  });

  it('ends when its time has passed, with the calls under way', async () => {
    const { token } = await add({ roles: [Role.ENGINEER] }, new Date(Date.now() + 1500));
    const ended = openStream(token);
    await ended.opened;
    expect(await ended.status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CREDENTIAL_EXPIRED' });
    expect(await refused(identifyAs(token))).toMatchObject({ reason: 'CREDENTIAL_EXPIRED' });
  });

  it('ends when another one takes its place, after the overlap', async () => {
    const { token, client } = await add({ roles: [Role.ENGINEER] });
    const clientId = client?.client?.clientId ?? '';
    const rotate = (overlapSeconds: number) =>
      call(access, access.rotateCredential.bind(access), {
        clientId,
        credential: { how: { $case: 'token', value: true }, expireTime: undefined },
        overlapSeconds,
      });
    const { token: second } = await rotate(3600);
    await identifyAs(token);
    await identifyAs(second);
    const { token: third } = await rotate(0);
    for (const old of [token, second])
      expect(await refused(identifyAs(old))).toMatchObject({ reason: 'CREDENTIAL_EXPIRED' });
    await identifyAs(third);
  });
});

/** A stream of searches with one answer, and its final status. */
function openStream(token: string, to = running) {
  const client = clientOf(IdentificationClient, token, to);
  const stream = client.identifyStream();
  const answers: IdentifyStreamResponse[] = [];
  const ask = (clientRequestId: string) =>
    stream.write({ request: identifyRequest(samplesOf(1, 1), { clientRequestId }) });
  const opened = new Promise<void>((resolve, reject) => {
    stream.on('data', (answer: IdentifyStreamResponse) => {
      answers.push(answer);
      resolve();
    });
    stream.on('error', reject);
  });
  const status = new Promise((resolve) =>
    stream.on('error', (error) => resolve(readServiceError(error as ServiceError))),
  );
  ask('first');
  return { opened, status, answers, ask };
}

describe('a disabled client', () => {
  it('is refused, and its streams are ended', async () => {
    const { token, client } = await add({ roles: [Role.ENGINEER] });
    const stream = openStream(token);
    await stream.opened;
    const started = performance.now();
    await disable(client?.client?.clientId ?? '');
    expect(await stream.status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CLIENT_DISABLED' });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(await refused(identifyAs(token))).toMatchObject({ reason: 'CLIENT_DISABLED' });
  });

  it('is refused by every service on the store, within a second', async () => {
    const other = await runService(url);
    try {
      const { token, client } = await add({ roles: [Role.ENGINEER] });
      // The other service learns of the client when the database tells it.
      const known = clientOf(IdentificationClient, token, other);
      const search = () => call(known, known.identify.bind(known), identifyRequest(samplesOf(1, 1)));
      const isKnown = () =>
        search().then(
          () => true,
          () => false,
        );
      await expect.poll(isKnown, { timeout: 5000 }).toBe(true);
      const stream = openStream(token, other);
      await stream.opened;
      const started = performance.now();
      await disable(client?.client?.clientId ?? '');
      expect(await stream.status).toMatchObject({ reason: 'CLIENT_DISABLED' });
      expect(performance.now() - started).toBeLessThan(1000);
    } finally {
      await other.stop();
    }
  });

  it('ends an enrolment stream that is under way', async () => {
    const { token, client } = await add({ roles: [Role.CONTRIBUTOR] });
    const gallery = clientOf(GalleryClient, token);
    const status = new Promise((resolve) => {
      const stream = gallery.enrollStream((error) => resolve(error && readServiceError(error)));
      stream.write({ record: enrolRequest(samplesOf(2, 0)) });
      setImmediate(() => void disable(client?.client?.clientId ?? ''));
    });
    expect(await status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CLIENT_DISABLED' });
  });

  it('cannot be the last administrator, also when two disable each other', async () => {
    const both = await Promise.all([add({ roles: [Role.ADMINISTRATOR] }), add({ roles: [Role.ADMINISTRATOR] })]);
    const alone = await runService(await cluster.createDatabase());
    const own = clientOf(AccessClient, tokenOf(alone), alone);
    expect(await refused(disable('local', own))).toMatchObject({
      code: Code.FAILED_PRECONDITION,
      reason: 'LAST_ADMINISTRATOR',
    });
    await alone.stop();
    for (const { client } of both) await disable(client?.client?.clientId ?? '');
  });
});

describe('registering a client', () => {
  it('refuses an id, an agency code or a credential that is taken', async () => {
    const { client } = await add();
    const clientId = client?.client?.clientId ?? '';
    expect(await refused(add({ clientId }))).toMatchObject({ code: Code.ALREADY_EXISTS, reason: 'CLIENT_EXISTS' });
    await add({ agency: 'a.b' });
    expect(await refused(add({ agency: 'A_B' }))).toMatchObject({ reason: 'AGENCY_CODE_TAKEN' });
  });

  it('refuses names that the service uses for itself', async () => {
    for (const clientId of ['service', 'recovery'])
      expect(await refused(add({ clientId }))).toMatchObject({ violations: [{ field: 'client.client_id' }] });
  });

  it('names every fault of a request', async () => {
    const bad = add({ clientId: 'a b', roles: [], agency: 'x'.repeat(29), galleries: ['g'], clearance: 9 });
    expect((await refused(bad)).violations.map(({ field }) => field).sort()).toEqual([
      'client.agency',
      'client.clearance',
      'client.client_id',
      'client.galleries',
      'client.roles',
    ]);
  });
});
