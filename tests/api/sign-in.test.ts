/** Persons who sign in at a provider and call a real service: who is let in, for how long, and what is recorded. */
import { status as Code, type ServiceError } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256, subjectFingerprint } from '../../src/access/sign-in.ts';
import { readServiceError } from '../../src/api/status.ts';
import {
  AccessClient,
  ClientKind,
  CredentialKind,
  Role,
  type AddClientRequest,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import {
  IdentificationClient,
  Purpose,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { LocalProvider } from '../sign-in/local-provider.ts';
import { registeredClients } from './registered-clients.ts';
import {
  call,
  identifyRequest,
  metricsOf,
  refused,
  runService,
  samplesOf,
  type RunningService,
} from './running-service.ts';

let cluster: TestCluster;
let provider: LocalProvider;
let url: string;
let running: RunningService;
let access: AccessClient;

beforeAll(async () => {
  [cluster, provider] = await Promise.all([startTestCluster(), LocalProvider.start()]);
  url = await cluster.createDatabase();
  running = await runService(url, {
    RIDGEWATCH_OIDC_FILE: provider.file({ second_factor: { amr: ['otp'] } }),
    RIDGEWATCH_HTTP_IDENTIFY: 'true',
  });
  access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await Promise.all([cluster.stop(), provider.goAway()]);
});

const clients = registeredClients(() => running);

let made = 0;
/** Registers a person; by default an engineer of the provider's agency. */
async function person(changes: Partial<AddClientRequest['client']> = {}, issuer = provider.issuer) {
  const subject = `person-${made++}`;
  const clientId = `client-of-${subject}`;
  const { client } = await call(access, access.addClient.bind(access), {
    client: {
      clientId,
      kind: ClientKind.PERSON,
      agency: 'agency',
      roles: [Role.ENGINEER],
      allGalleries: true,
      galleries: [],
      purposes: [Purpose.TEST],
      clearance: 0,
      callsPerSecond: 0,
      streams: 0,
      verificationsPerDay: 0,
      ...changes,
    },
    credential: { how: { $case: 'oidc', value: { issuer, subject } }, expireTime: undefined },
  });
  return { subject, clientId, client };
}
const disable = (clientId: string) => call(access, access.disableClient.bind(access), { clientId, reason: 'a test' });
const identifyAs = (token: string) => {
  const client = clients.clientOf(IdentificationClient, token);
  return call(client, client.identify.bind(client), identifyRequest(samplesOf(1, 1)));
};
const listAs = (token: string) => {
  const client = clients.clientOf(AccessClient, token);
  return call(client, client.listClients.bind(client), { pageSize: 0, pageToken: '' });
};
const seconds = () => Math.floor(Date.now() / 1000);

/** A stream of searches that has had its first answer. */
async function openStream(token: string) {
  const stream = clients.clientOf(IdentificationClient, token).identifyStream();
  const status = new Promise((resolve) =>
    stream.on('error', (error) => resolve(readServiceError(error as ServiceError))),
  );
  const opened = new Promise<IdentifyStreamResponse>((resolve) => void stream.on('data', resolve));
  stream.write({ request: identifyRequest(samplesOf(1, 1)) });
  await Promise.race([opened, status]);
  return { status };
}

describe('a person who signed in', () => {
  it('is let in by gRPC and HTTP as the client that it is registered for', async () => {
    const { subject, client } = await person({ roles: [Role.ENGINEER, Role.OPERATOR] });
    expect(client?.credentials).toMatchObject([
      {
        kind: CredentialKind.OIDC,
        name: subject,
        issuer: provider.issuer,
        fingerprint: subjectFingerprint(provider.issuer, subject),
      },
    ]);
    const token = await provider.sign({ sub: subject });
    await identifyAs(token);
    const headers = { authorization: `Bearer ${token}` };
    expect(await metricsOf({ service: running.service, headers })).toContain('ridgewatch_provider_key_readings_total');
    const search = await fetch(`http://127.0.0.1:${running.service.httpPort}/v1/identify`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(search.status).toBe(400);
  });

  it('is not let in by a token that is not good, or not of a client', async () => {
    const { subject } = await person();
    const stranger = await provider.sign({ sub: 'stranger' });
    const later = await provider.sign({ sub: subject, nbf: seconds() + 100 });
    const large = await provider.sign({ sub: subject, groups: 'x'.repeat(5400) });
    for (const [token, reason] of [
      [stranger, 'CREDENTIALS_UNKNOWN'],
      [later, 'SIGN_IN_NOT_YET_VALID'],
      [large, 'CREDENTIALS_UNREADABLE'],
      [await provider.sign({ sub: subject, iss: 'https://id.example' }), 'SIGN_IN_ISSUER_UNKNOWN'],
      ['a.b.c', 'SIGN_IN_UNREADABLE'],
      ['..', 'SIGN_IN_UNREADABLE'],
    ] as const) {
      expect(await refused(identifyAs(token))).toMatchObject({ code: Code.UNAUTHENTICATED, reason });
      const page = await fetch(`http://127.0.0.1:${running.service.httpPort}/metrics`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(page.status).toBe(401);
    }
  });

  it('calls no longer when the token ends, and its streams end with it', async () => {
    const { subject } = await person();
    const token = await provider.sign({ sub: subject, exp: seconds() + 2 });
    const { status } = await openStream(token);
    expect(await status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'SIGN_IN_EXPIRED' });
    expect(await refused(identifyAs(token))).toMatchObject({ reason: 'SIGN_IN_EXPIRED' });
  });

  it('calls no longer within a second after the client is disabled, with a token that is still good', async () => {
    const { subject, clientId } = await person();
    const token = await provider.sign({ sub: subject });
    const { status } = await openStream(token);
    const started = performance.now();
    await disable(clientId);
    expect(await status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CLIENT_DISABLED' });
    expect(performance.now() - started).toBeLessThan(1000);
    expect(await refused(identifyAs(token))).toMatchObject({ reason: 'CLIENT_DISABLED' });
  });

  it('who decides over others needs a second factor', async () => {
    for (const role of [Role.SUPERVISOR, Role.ADMINISTRATOR]) {
      const { subject } = await person({ roles: [role, Role.EXAMINER] });
      const weak = await provider.sign({ sub: subject, amr: ['pwd'] });
      expect(await refused(listAs(weak))).toMatchObject({
        code: Code.UNAUTHENTICATED,
        reason: 'SECOND_FACTOR_REQUIRED',
      });
      const strong = await provider.sign({ sub: subject, amr: ['pwd', 'otp'] });
      const outcome = listAs(strong);
      if (role === Role.ADMINISTRATOR) expect((await outcome).clients.length).toBeGreaterThan(1);
      else expect(await refused(outcome)).toMatchObject({ reason: 'ACTION_NOT_PERMITTED' });
    }
    const { subject } = await person({ roles: [Role.ENGINEER] });
    await identifyAs(await provider.sign({ sub: subject, amr: ['pwd'] }));
  });

  it('is named by the audit with the id of its token, and nothing of the token is recorded or logged', async () => {
    const { subject, clientId } = await person();
    const token = await provider.sign({ sub: subject, jti: 'the-only-one', email: 'jo@agency.example' });
    await identifyAs(token);
    const stranger = await provider.sign({ sub: 'a-stranger', jti: 'another' });
    await refused(identifyAs(stranger));
    const database = new pg.Client(url);
    await database.connect();
    try {
      const entries = async () =>
        (await database.query<{ entry: string }>('SELECT entry FROM audit_record')).rows.map(({ entry }) => entry);
      const recorded = (await entries()).map((entry) => JSON.parse(entry) as Record<string, unknown>);
      expect(recorded.find(({ client_id }) => client_id === clientId)).toMatchObject({
        credential: subjectFingerprint(provider.issuer, subject),
        client_kind: 'person',
        facts: { sign_in: sha256('the-only-one') },
      });
      const isStranger = (entry: string) => entry.includes(subjectFingerprint(provider.issuer, 'a-stranger'));
      await expect.poll(async () => (await entries()).some(isStranger), { timeout: 5000 }).toBe(true);
      const everything = [...(await entries()), ...running.log].join('\n');
      for (const secret of [token, stranger].flatMap((one) => one.split('.').slice(1)))
        expect(everything).not.toContain(secret);
      for (const fact of ['the-only-one', 'jo@agency.example', 'a-stranger']) expect(everything).not.toContain(fact);
    } finally {
      await database.end();
    }
  });
});

describe('registering a person of a provider', () => {
  it('is refused for machines, for unknown providers, for another agency, and twice', async () => {
    for (const [changes, issuer, reason] of [
      [{ kind: ClientKind.MACHINE }, provider.issuer, 'SIGN_IN_PERSONS_ONLY'],
      [{}, 'https://id.example', 'SIGN_IN_ISSUER_UNKNOWN'],
      [{ agency: 'another' }, provider.issuer, 'SIGN_IN_AGENCY_WRONG'],
    ] as const)
      expect(await refused(person(changes, issuer))).toMatchObject({ code: Code.INVALID_ARGUMENT, reason });
    expect((await refused(person({}, 'no URL'))).violations).toMatchObject([{ field: 'credential.oidc.issuer' }]);
    const { subject } = await person();
    const { clientId } = await person();
    expect(await refused(rotate(clientId, subject))).toMatchObject({
      code: Code.ALREADY_EXISTS,
      reason: 'CREDENTIAL_TAKEN',
    });
  });

  it('is refused for another credential of a machine or of another agency', async () => {
    const machine = await clients.add({ roles: [Role.ENGINEER] });
    const other = await clients.add({ kind: ClientKind.PERSON, agency: 'another', roles: [Role.ENGINEER] });
    expect(await refused(rotate(machine.client?.client?.clientId ?? '', 'x'))).toMatchObject({
      reason: 'SIGN_IN_PERSONS_ONLY',
    });
    expect(await refused(rotate(other.client?.client?.clientId ?? '', 'x'))).toMatchObject({
      reason: 'SIGN_IN_AGENCY_WRONG',
    });
  });

  it('again gives the person another end, and a person in place of another ends that one', async () => {
    const { subject, clientId } = await person();
    const renewed = await rotate(clientId, subject, new Date(Date.now() + 3_600_000));
    expect(renewed.client?.credentials).toHaveLength(1);
    await identifyAs(await provider.sign({ sub: subject }));
    await rotate(clientId, `${subject}-married`);
    expect(await refused(identifyAs(await provider.sign({ sub: subject })))).toMatchObject({
      reason: 'CREDENTIAL_EXPIRED',
    });
    await identifyAs(await provider.sign({ sub: `${subject}-married` }));
  });
});

const rotate = (clientId: string, subject: string, expireTime?: Date) =>
  call(access, access.rotateCredential.bind(access), {
    clientId,
    credential: { how: { $case: 'oidc', value: { issuer: provider.issuer, subject } }, expireTime },
    overlapSeconds: 0,
  });
