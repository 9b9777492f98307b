import { EventEmitter, once } from 'node:events';
import { connect, constants } from 'node:http2';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { credentials, loadPackageDefinition, Metadata, type Client, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { protoPath } from 'grpc-health-check';
import {
  GetStatusResponse,
  OperationsClient,
  type OperationsServer,
} from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { followCall } from '../../src/api/followed-call.ts';
import type { ApiServer } from '../../src/api/server.ts';
import { installationFolder } from '../../src/installation.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { createApiServer } from './api-server.ts';
import { admittedMetadata, OPEN_CALLS, openUnary } from './open-access.ts';

const SETTINGS = { ...OPEN_CALLS, defaultDeadlineMs: 50 };
let server: ApiServer;
let address: string;
let started: PromiseWithResolvers<void>;
let finish: PromiseWithResolvers<GetStatusResponse>;

function makeServer(): ApiServer {
  started = Promise.withResolvers();
  finish = Promise.withResolvers();
  const getStatus = openUnary('Operations/GetStatus', SETTINGS, (_: unknown, { signal }) => {
    started.resolve();
    signal.addEventListener('abort', () => finish.reject(signal.reason as Error));
    return finish.promise;
  });
  return createApiServer({ operations: { getStatus } as unknown as OperationsServer }).server;
}

beforeEach(async () => {
  server = makeServer();
  address = `127.0.0.1:${await server.listen('127.0.0.1', 0, undefined)}`;
});
afterEach(() => server.stop(0));

function ask(deadline = Date.now() + 30_000): Promise<GetStatusResponse> {
  const client = new OperationsClient(address, credentials.createInsecure(), DIRECT_CHANNEL);
  return new Promise<GetStatusResponse>((resolve, reject) => {
    const done = (error: ServiceError | null, response: GetStatusResponse) =>
      error === null ? resolve(response) : reject(error);
    client.getStatus({}, new Metadata(), { deadline }, done);
  }).finally(() => client.close());
}

/** A raw call of GetStatus, with its own timeout. */
function callWithTimeout(timeout: string) {
  const session = connect(`http://${address}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/ridgewatch.v1.Operations/GetStatus',
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': timeout,
  });
  stream.on('error', () => undefined);
  stream.end(Buffer.alloc(5));
  return { session, stream };
}

describe('the gRPC server', () => {
  it('completes running calls before it stops, and accepts no others', async () => {
    const underWay = ask();
    await started.promise;
    const stopped = server.stop(30_000);
    await expect(ask()).rejects.toMatchObject({ code: 14 });
    finish.resolve(GetStatusResponse.create({ detail: 'in time' }));
    expect((await underWay).detail).toBe('in time');
    expect(await stopped).toBe(true);
  });

  it('aborts calls that do not end within the time limit for stopping', async () => {
    const underWay = ask();
    const outcome = expect(underWay).rejects.toBeDefined();
    await started.promise;
    expect(await server.stop(10)).toBe(false);
    await outcome;
  });

  it('tells the handler that the deadline has passed', async () => {
    // The caller waits longer than its deadline: one that hangs up at the deadline races with the service's own clock.
    const { session, stream } = callWithTimeout('500m');
    const trailers = once(stream, 'response') as Promise<[Record<string, string>]>;
    await started.promise;
    await expect(finish.promise).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect((await trailers)[0]['grpc-status']).toBe('4');
    session.destroy();
  });

  it('tells the handler that the caller has hung up', async () => {
    const { session, stream } = callWithTimeout('100S');
    await started.promise;
    stream.close(constants.NGHTTP2_CANCEL);
    await expect(finish.promise).rejects.toMatchObject({ reason: 'CANCELLED' });
    session.destroy();
  });

  it.each([
    [10_000, 9950, 'DEADLINE_EXCEEDED'],
    [10_000, 9850, 'CANCELLED'],
    [50, 45, 'DEADLINE_EXCEEDED'],
    [50, 25, 'CANCELLED'],
  ])('treats a call of %d ms that is cancelled after %d ms as %s', (timeMs, afterMs, reason) => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const call = Object.assign(new EventEmitter(), {
      getDeadline: () => deadline,
      metadata: admittedMetadata(),
      getPeer: () => '127.0.0.1:1',
    });
    const deadline = Date.now() + timeMs;
    const followed = followCall(call, SETTINGS, true);
    vi.advanceTimersByTime(afterMs);
    expect(followed.signal.aborted).toBe(false);
    call.emit('cancelled');
    expect(followed.signal.reason).toMatchObject({ reason });
    followed.release();
  });

  it('gives a default deadline to calls without one', async () => {
    const client = new OperationsClient(address, credentials.createInsecure(), DIRECT_CHANNEL);
    const outcome = new Promise((resolve) => client.getStatus({}, (error) => resolve(error?.code)));
    expect(await outcome).toBe(4);
    client.close();
  });

  it('fails with one sentence when its port is taken', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as AddressInfo;
    const other = makeServer();
    await expect(other.listen('127.0.0.1', port, undefined)).rejects.toMatchObject({
      reason: 'PORT_IN_USE',
    });
    blocker.close();
  });
});

/** A client made from a contract at run time, as tools of other languages are. */
function dynamicClient(
  proto: string,
  path: readonly string[],
): Client & Record<string, (request: object, callback: (error: unknown, response: unknown) => void) => unknown> {
  let found: unknown = loadPackageDefinition(loadSync(proto, { enums: String, defaults: true }));
  for (const name of path) found = (found as Record<string, unknown>)[name];
  const Constructor = found as new (address: string, security: unknown) => ReturnType<typeof dynamicClient>;
  return new Constructor(address, credentials.createInsecure());
}

describe('the standard services', () => {
  it('report health, as a whole and per service', async () => {
    const client = dynamicClient(protoPath, ['grpc', 'health', 'v1', 'Health']);
    const check = (service: string) =>
      new Promise((resolve) =>
        client.check?.({ service }, (_, response) => resolve((response as { status: string }).status)),
      );
    expect(await check('')).toBe('NOT_SERVING');
    server.setServing(true);
    for (const service of ['', 'ridgewatch.v1.Identification', 'ridgewatch.v1.Gallery', 'ridgewatch.v1.Operations'])
      expect(await check(service)).toBe('SERVING');
    client.close();
  });

  it('describe the contract to tools that do not have it', async () => {
    const proto = join(
      installationFolder,
      'node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto',
    );
    const client = dynamicClient(proto, ['grpc', 'reflection', 'v1', 'ServerReflection']);
    const stream = (
      client.serverReflectionInfo as unknown as () => NodeJS.ReadWriteStream & { write(message: object): boolean }
    ).call(client);
    const answer = () =>
      new Promise<Record<string, { service?: { name: string }[]; fileDescriptorProto?: Buffer[] }>>((resolve) =>
        stream.once('data', resolve),
      );
    stream.write({ listServices: '' });
    const { listServicesResponse } = await answer();
    expect(listServicesResponse?.service?.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'ridgewatch.v1.Identification',
        'ridgewatch.v1.Gallery',
        'ridgewatch.v1.Operations',
        'grpc.health.v1.Health',
      ]),
    );
    stream.write({ fileContainingSymbol: 'ridgewatch.v1.Identification' });
    const { fileDescriptorResponse } = await answer();
    expect(Buffer.concat(fileDescriptorResponse?.fileDescriptorProto ?? []).toString('latin1')).toContain(
      'IdentifyStream',
    );
    stream.end();
    await new Promise((ended) => stream.once('end', ended));
    client.close();
  });
});
