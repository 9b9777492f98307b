/** Clients that are known by their certificates, over mutual TLS. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readServiceError } from '../../src/api/status.ts';
import {
  AccessClient,
  ClientKind,
  Role,
  type NewCredential,
} from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { IdentificationClient, Purpose } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { bearer } from '../../src/security/bearer.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { Authority, type Issued } from '../security/authority.ts';
import { CertificateFolder } from '../security/certificate-folder.ts';
import { call, identifyRequest, runService, samplesOf, type RunningService } from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
let authority: Authority;
let other: Authority;
/** Of the administrator. */
let access: AccessClient;
const closing: { close(): void }[] = [];

beforeAll(async () => {
  cluster = await startTestCluster();
  [authority, other] = await Promise.all([Authority.create('authority'), Authority.create('other')]);
  const service = await authority.issue('service', { names: [{ type: 'dns', value: 'localhost' }] });
  const folder = new CertificateFolder();
  folder.put('service.pem', service.cert);
  folder.put('service.key', service.key);
  folder.put('ca.pem', authority.cert + other.cert);
  running = await runService(await cluster.createDatabase(), {
    RIDGEWATCH_TLS_CERT: folder.of('service.pem'),
    RIDGEWATCH_TLS_KEY: folder.of('service.key'),
    RIDGEWATCH_TLS_CLIENT_CA: folder.of('ca.pem'),
  });
  access = clientOf(AccessClient, await authority.issue('administrator'), localToken());
});
afterAll(async () => {
  for (const client of closing) client.close();
  await running.stop();
  await cluster.stop();
});

const localToken = () => running.headers.authorization.replace('Bearer ', '');

function clientOf<T extends { close(): void }>(
  Client: new (address: string, security: ReturnType<typeof credentials.createSsl>, options: object) => T,
  { cert, key }: Issued,
  token?: string,
): T {
  const security = credentials.createSsl(Buffer.from(authority.cert), Buffer.from(key), Buffer.from(cert));
  const interceptors = token === undefined ? [] : [bearer(token)];
  const client = new Client(`localhost:${running.service.grpcPort}`, security, { ...DIRECT_CHANNEL, interceptors });
  closing.push(client);
  return client;
}

let made = 0;
async function register(how: NewCredential['how'], role: Role = Role.ENGINEER) {
  const clientId = `gate-${made++}`;
  const { token } = await call(access, access.addClient.bind(access), {
    client: {
      clientId,
      kind: ClientKind.MACHINE,
      agency: 'agency',
      roles: [role],
      allGalleries: true,
      galleries: [],
      purposes: [Purpose.TEST],
      clearance: 0,
      callsPerSecond: 0,
      streams: 0,
      verificationsPerDay: 0,
    },
    credential: { how, expireTime: undefined },
  });
  return { clientId, token };
}
const byCertificate = ({ cert }: Issued) => ({ $case: 'certificate', value: Buffer.from(cert) }) as const;
const byName = (name: string, issuer: Authority) =>
  ({ $case: 'certificateName', value: { name, issuer: Buffer.from(issuer.cert) } }) as const;

/** What comes of a search: OK, or the reason of the refusal. */
async function outcome(issued: Issued, token?: string): Promise<string | undefined> {
  const client = clientOf(IdentificationClient, issued, token);
  return call(client, client.identify.bind(client), identifyRequest(samplesOf(1, 1))).then(
    () => 'OK',
    (status: { reason?: string }) => status.reason,
  );
}

describe('over mutual TLS, a client', () => {
  it('is known by its certificate, and with another certificate of its authority by nothing', async () => {
    const [own, another] = await Promise.all([authority.issue('gate'), authority.issue('gate')]);
    await register(byCertificate(own));
    expect(await outcome(own)).toBe('OK');
    expect(await outcome(another)).toBe('CREDENTIALS_UNKNOWN');
  });

  it('is known by a name under its issuer, in every certificate of it', async () => {
    const uri = 'spiffe://border.example/gate/1';
    const names = [{ type: 'url', value: uri } as const];
    await register(byName(`URI:${uri}`, authority));
    expect(await outcome(await authority.issue('gate', { names }))).toBe('OK');
    expect(await outcome(await authority.issue('another', { names }))).toBe('OK');
    expect(await outcome(await other.issue('gate', { names }))).toBe('CREDENTIALS_UNKNOWN');
    // A name that holds another one, in whatever notation, is another name.
    for (const value of [`${uri}0`, `${uri}, URI:${uri}`, `x, URI:${uri}`, `${uri}\0`])
      expect(await outcome(await authority.issue('gate', { names: [{ type: 'dns', value }] }))).toBe(
        'CREDENTIALS_UNKNOWN',
      );
  });

  it('may show a token beside its certificate, but not one of another client', async () => {
    const own = await authority.issue('gate');
    await register(byCertificate(own));
    const { token } = await register({ $case: 'token', value: true });
    expect(await outcome(own, token)).toBe('CREDENTIALS_CONFLICT');
    expect(await outcome(await authority.issue('nobody'), token)).toBe('OK');
  });

  it('is refused, and its streams end, when it is disabled', async () => {
    const own = await authority.issue('gate');
    const { clientId } = await register(byCertificate(own));
    const stream = clientOf(IdentificationClient, own).identifyStream();
    const status = new Promise((resolve) =>
      stream.on('error', (error) => resolve(readServiceError(error as ServiceError).reason)),
    );
    stream.write({ request: identifyRequest(samplesOf(1, 1), { clientRequestId: 'a' }) });
    await once(stream, 'data');
    await call(access, access.disableClient.bind(access), { clientId, reason: 'a test' });
    expect(await status).toBe('CLIENT_DISABLED');
    expect(await outcome(own)).toBe('CLIENT_DISABLED');
  });

  it('keeps its name when the registration of the name is renewed', async () => {
    const uri = 'spiffe://border.example/gate/renewed';
    const how = byName(`URI:${uri}`, authority);
    const { clientId } = await register(how);
    const rotate = (id: string, days: number) =>
      call(access, access.rotateCredential.bind(access), {
        clientId: id,
        credential: { how, expireTime: new Date(Date.now() + days * 86_400_000) },
        overlapSeconds: 0,
      });
    const { client } = await rotate(clientId, 30);
    expect(client?.credentials).toHaveLength(1);
    const left = (client?.credentials[0]?.expireTime?.getTime() ?? 0) - Date.now();
    expect(left).toBeGreaterThan(29 * 86_400_000);
    expect(await outcome(await authority.issue('gate', { names: [{ type: 'url', value: uri }] }))).toBe('OK');
    const { clientId: stranger } = await register({ $case: 'token', value: true });
    await expect(rotate(stranger, 30)).rejects.toMatchObject({ reason: 'CREDENTIAL_TAKEN' });
  });

  it('reads metrics by its certificate', async () => {
    const [own, another] = await Promise.all([authority.issue('monitor'), authority.issue('gate')]);
    await register(byCertificate(own), Role.MONITOR);
    await register(byCertificate(another));
    const status = async ({ cert, key }: Issued) => {
      const asked = httpsRequest({
        ...{ port: running.service.httpPort, host: '127.0.0.1', servername: 'localhost', path: '/metrics' },
        ...{ ca: authority.cert, cert, key },
      }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };
    expect([await status(own), await status(another), await status(await authority.issue('x'))]).toEqual([
      200, 403, 401,
    ]);
  });
});
