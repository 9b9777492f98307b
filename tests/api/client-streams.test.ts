/** Streams count against their client, until they end in whatever way. */
import { once } from 'node:events';
import {
  loadPackageDefinition,
  credentials,
  status as Code,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readServiceError } from '../../src/api/status.ts';
import { AccessClient, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { GalleryClient } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import { IdentificationClient } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { installationFolder } from '../../src/installation.ts';
import { bearer } from '../../src/security/bearer.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { registeredClients } from './registered-clients.ts';
import { call, enrolRequest, identifyRequest, runService, samplesOf, type RunningService } from './running-service.ts';

let cluster: TestCluster;
let running: RunningService;
const clients = registeredClients(() => running);

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase(), { RIDGEWATCH_STREAM_IDLE_SECONDS: '1' });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await cluster.stop();
});

const alone = (role: Role) => clients.add({ roles: [role], streams: 1 });

/** A stream of searches that has been let in: it has had an answer. */
async function openSearches(token: string) {
  const client = clients.clientOf(IdentificationClient, token);
  const stream = client.identifyStream();
  const ended = new Promise<string>((resolve) => {
    stream.on('error', (error) => resolve(readServiceError(error as ServiceError).reason ?? error.message));
    stream.on('end', () => resolve('OK'));
  });
  stream.write({ request: identifyRequest(samplesOf(1, 1), { clientRequestId: 'a' }) });
  const outcome = await Promise.race([once(stream, 'data').then(() => 'open'), ended]);
  stream.on('data', () => undefined);
  return { outcome, stream, ended, client };
}

describe('streams of a client', () => {
  it.each([
    [
      'the caller has sent all',
      async ({ stream, ended }: Awaited<ReturnType<typeof openSearches>>) => {
        stream.end();
        expect(await ended).toBe('OK');
      },
    ],
    ['the caller cancels', ({ stream }: Awaited<ReturnType<typeof openSearches>>) => Promise.resolve(stream.cancel())],
    ['the connection ends', ({ client }: Awaited<ReturnType<typeof openSearches>>) => Promise.resolve(client.close())],
    [
      'nothing more is sent',
      async ({ ended }: Awaited<ReturnType<typeof openSearches>>) => {
        expect(await ended).toBe('STREAM_IDLE');
      },
    ],
  ])('are as many as it may have, until %s', async (_, end) => {
    const { token } = await alone(Role.ENGINEER);
    const first = await openSearches(token);
    expect(first.outcome).toBe('open');
    const refused = await openSearches(token);
    expect(refused.outcome).toBe('STREAMS_EXHAUSTED');
    await end(first);
    await expect
      .poll(
        async () => {
          const next = await openSearches(token);
          next.stream.cancel();
          return next.outcome;
        },
        { timeout: 5000 },
      )
      .toBe('open');
  });

  it('include streams of enrolments, and are not counted for other clients or calls', async () => {
    const { token } = await alone(Role.CONTRIBUTOR);
    const gallery = clients.clientOf(GalleryClient, token);
    const enrol = (isOpen: boolean) => {
      let stream: ReturnType<GalleryClient['enrollStream']> | undefined;
      const outcome = new Promise<string>((resolve) => {
        stream = gallery.enrollStream((error, response) =>
          resolve(error === null ? `${response.enrolledCount} enrolled` : (readServiceError(error).reason ?? '')),
        );
        stream.write({ record: enrolRequest(samplesOf(40, 0)) });
        if (!isOpen) stream.end();
      });
      return { outcome, end: () => stream?.end() };
    };
    const first = enrol(true);
    await expect.poll(() => enrol(false).outcome).toBe('STREAMS_EXHAUSTED');
    const { subject } = await call(gallery, gallery.enroll.bind(gallery), enrolRequest(samplesOf(41, 0)));
    expect(subject).toBeDefined();
    const other = await alone(Role.CONTRIBUTOR);
    const { outcome } = await openSearches((await alone(Role.ENGINEER)).token);
    expect([outcome, other.token]).toEqual(['open', expect.any(String)]);
    first.end();
    expect(await first.outcome).toBe('1 enrolled');
    await expect.poll(() => enrol(false).outcome).toBe('1 enrolled');
  });
});

describe('a stream of reflection', () => {
  it('ends when its client is disabled', async () => {
    const { client, token } = await alone(Role.MONITOR);
    const file = join(
      installationFolder,
      'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    );
    const definition = loadPackageDefinition(loadSync(file)) as unknown as {
      grpc: { reflection: { v1: { ServerReflection: ServiceClientConstructor } } };
    };
    const reflection = new definition.grpc.reflection.v1.ServerReflection(
      `127.0.0.1:${running.service.grpcPort}`,
      credentials.createInsecure(),
      { interceptors: [bearer(token)] },
    );
    const open = reflection['serverReflectionInfo'] as unknown as () => ReturnType<
      IdentificationClient['identifyStream']
    >;
    const stream = open.call(reflection);
    const status = new Promise((resolve) =>
      stream.on('error', (error) => resolve(readServiceError(error as ServiceError))),
    );
    stream.write({ listServices: '' } as never);
    await once(stream, 'data');
    const access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
    const clientId = client?.client?.clientId ?? '';
    await call(access, access.disableClient.bind(access), { clientId, reason: 'a test' });
    expect(await status).toMatchObject({ code: Code.UNAUTHENTICATED, reason: 'CLIENT_DISABLED' });
    reflection.close();
  });
});
