/** Connections and calls that never complete or are not gRPC, over raw sockets. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { credentials, status as Code, type ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { reported, type CallReport } from '../../src/api/call.ts';
import { followCall } from '../../src/api/followed-call.ts';
import {
  EnrollStreamRequest,
  EnrollStreamResponse,
  GalleryClient,
  type GalleryServer,
} from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentificationClient,
  IdentifyStreamRequest,
  type IdentificationServer,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { OperationsClient, type OperationsServer } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { ApiServer, ApiServerSettings, ApiServices } from '../../src/api/server.ts';
import { readServiceError, readStatus, toServiceError } from '../../src/api/status.ts';
import { Status } from '../../src/contract/generated/google/rpc/status.ts';
import { createClientCredentials } from '../../src/security/client-credentials.ts';
import { createServerCredentials } from '../../src/security/server-credentials.ts';
import { faultOf } from '../../src/api/watched-call.ts';
import { createApiServer } from './api-server.ts';
import { frameOf, headersOf, PREFACE } from './http2-bytes.ts';
import { OPEN_CALLS, openUnary } from './open-access.ts';

const file = (name: string) => join(import.meta.dirname, '../security/certificates', name);
const pem = (name: string) => readFileSync(file(name));
const TLS = createServerCredentials({
  grpcHost: '127.0.0.1',
  tlsCert: file('server.pem'),
  tlsKey: file('server.key'),
  tlsClientCa: file('ca.pem'),
  allowPlaintext: false,
});
const STATUS = '/ridgewatch.v1.Operations/GetStatus';

let server: ApiServer;
let port: number;
let refusals: string[];
const ends: (() => void)[] = [];

async function start(
  settings: Partial<ApiServerSettings> = {},
  services: Partial<ApiServices> = {},
  tls: typeof TLS = undefined,
): Promise<void> {
  ({ server, refusals } = createApiServer(services, settings));
  port = await server.listen('127.0.0.1', 0, tls);
}

afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await server.stop(0);
  expect(server.connectionCount).toBe(0);
});

async function open(bytes: Uint8Array | string = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  ends.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  socket.resume();
  return socket;
}

/** Resolves when the socket has closed, with or without an error. */
const ended = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));

function session(options: ConnectionOptions = {}): ClientHttp2Session {
  const client = connectHttp2(`http${options.ca ? 's' : ''}://localhost:${port}`, options);
  client.on('error', () => undefined);
  ends.push(() => client.destroy());
  return client;
}

function begin(client: ClientHttp2Session, path = STATUS, headers: Record<string, string> = {}): ClientHttp2Stream {
  const stream = client.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  stream.resume();
  return stream;
}

/** Code and reason in the headers of an answer. */
async function statusOf(stream: ClientHttp2Stream): Promise<[number, string | undefined]> {
  const [headers] = (await once(stream, 'response')) as [Record<string, string>];
  const details = headers['grpc-status-details-bin'];
  const reason = details && readStatus(Status.decode(Buffer.from(details, 'base64'))).reason;
  return [Number(headers['grpc-status']), reason];
}

const framed = (bytes: Uint8Array, length = bytes.length) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, bytes]);
};

function ask(options = { tls: false, host: '127.0.0.1' }): Promise<string> {
  const known = { tlsCa: file('ca.pem'), tlsCert: file('client.pem'), tlsKey: file('client.key') };
  const security = options.tls ? createClientCredentials(known) : credentials.createInsecure();
  const client = new OperationsClient(`${options.host}:${port}`, security, { 'grpc.use_local_subchannel_pool': 1 });
  return new Promise<string>((resolve, reject) =>
    client.getStatus({}, (error, answer) => (error ? reject(error) : resolve(answer.detail))),
  ).finally(() => client.close());
}

describe('a connection', () => {
  it.each([
    ['sends nothing', ''],
    ['sends the beginning of a preface', 'PRI * HTTP/2.0\r\n\r\nSM'],
  ])('that %s is closed after the handshake time limit', async (_, bytes) => {
    await start({ handshakeMs: 50 });
    await ended(await open(bytes));
    expect(refusals).toEqual(['HANDSHAKE_TIMEOUT']);
  });

  it.each([
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'HTTP2_EXPECTED'],
    ['TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 'PLAINTEXT_EXPECTED'],
    ['anything', Buffer.from([0, 1, 2, 3]), 'HTTP2_EXPECTED'],
  ])('that speaks %s is closed with a reason', async (_, bytes, reason) => {
    await start();
    await ended(await open(bytes));
    expect(refusals).toEqual([reason]);
    expect(await ask()).toBe('served');
  });

  it('without running calls receives GOAWAY and is closed', async () => {
    await start({ connectionIdleMs: 100 });
    const client = session();
    await once(client, 'connect');
    const stream = begin(client);
    stream.end(framed(new Uint8Array()));
    await once(stream, 'close');
    const goodbye = once(client, 'goaway');
    await once(client, 'close');
    expect((await goodbye)[0]).toBe(constants.NGHTTP2_NO_ERROR);
    await expect.poll(() => server.connectionCount).toBe(0);
  });

  it('evicts an idle one when all places are taken, and is turned away when none is idle; readiness reports it', async () => {
    const waiting = Promise.withResolvers<never>();
    waiting.promise.catch(() => undefined);
    const getStatus = openUnary(
      'Operations/GetStatus',
      { ...OPEN_CALLS, defaultDeadlineMs: 60_000 },
      () => waiting.promise,
    );
    await start({ maxConnections: 4 }, { operations: { getStatus } as unknown as OperationsServer });
    const idle = await Promise.all(Array.from({ length: 4 }, () => open()));
    await expect.poll(() => server.connectionCount).toBe(4);
    expect(server.obstacle).toBeUndefined();
    const clients = Array.from({ length: 4 }, () => session());
    const calls = clients.map((client) => begin(client));
    for (const call of calls) call.end(framed(new Uint8Array()));
    await Promise.all(idle.map(ended));
    expect(refusals).toEqual(Array<string>(4).fill('CONNECTION_EVICTED'));
    await expect.poll(() => server.obstacle).toMatch(/turned away/);
    await ended(await open());
    expect(refusals.at(-1)).toBe('TOO_MANY_CONNECTIONS');
    calls[0]?.close();
    await expect.poll(() => server.obstacle).toBeUndefined();
  });
});

describe('a TLS handshake', () => {
  const over = async (options: ConnectionOptions): Promise<TLSSocket> => {
    const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'], ...options });
    ends.push(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.resume();
    await ended(socket);
    return socket;
  };

  it('that does not complete is closed after the time limit', async () => {
    await start({ handshakeMs: 50 }, {}, TLS);
    await ended(await open());
    await ended(await open(Buffer.from([0x16, 3, 1, 2, 0, 1])));
    expect(refusals).toEqual(['HANDSHAKE_TIMEOUT', 'HANDSHAKE_TIMEOUT']);
  });

  it('that completes but sends nothing is closed after the time limit', async () => {
    await start({ handshakeMs: 200 }, {}, TLS);
    await over({ ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key') });
    expect(refusals).toEqual(['HANDSHAKE_TIMEOUT']);
  });

  it.each<[string, ConnectionOptions, string]>([
    ['without a certificate', { ca: pem('ca.pem') }, 'TLS_NO_CERTIFICATE'],
    [
      'with a certificate of another authority',
      { ca: pem('ca.pem'), cert: pem('stranger.pem'), key: pem('stranger.key') },
      'TLS_CERTIFICATE_REFUSED',
    ],
    // Node.js checks the certificate after the handshake and closes the connection.
    ['of a client who knows another authority', { ca: pem('stranger.pem') }, 'HANDSHAKE_ABORTED'],
    [
      'for HTTP/1.1',
      { ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key'), ALPNProtocols: ['http/1.1'] },
      'HTTP2_EXPECTED',
    ],
    [
      'in an old version',
      { ca: pem('ca.pem'), minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      'TLS_VERSION_UNSUPPORTED',
    ],
  ])('%s is refused with a reason', async (_, options, reason) => {
    await start({}, {}, TLS);
    await over(options);
    await expect.poll(() => refusals).toEqual([reason]);
    expect(await ask({ tls: true, host: 'localhost' })).toBe('served');
  });

  it.each([
    ['HTTP/1.1', 'GET / HTTP/1.1\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['anything', 'hello, hello, hello'],
  ])('of a client that speaks %s in plaintext is refused with a reason', async (_, bytes) => {
    await start({}, {}, TLS);
    await ended(await open(bytes));
    expect(refusals).toEqual(['TLS_EXPECTED']);
  });

  it('that the client aborts is counted', async () => {
    await start({}, {}, TLS);
    (await open(Buffer.from([0x16, 3, 1, 2, 0, 1]))).end();
    await expect.poll(() => refusals).toEqual(['HANDSHAKE_ABORTED']);
  });
});

describe('a call', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a message', framed(Buffer.alloc(100), 1000)],
    ['a message and no end', framed(new Uint8Array())],
  ])('that sends %s is ended after the message time limit', async (_, bytes) => {
    await start({ messageMs: 50 });
    const stream = begin(session());
    stream.write(bytes);
    expect(await statusOf(stream)).toEqual([Code.DEADLINE_EXCEEDED, 'MESSAGE_INCOMPLETE']);
    expect(refusals).toEqual(['MESSAGE_INCOMPLETE']);
    // The stream does not stay open because its caller has not ended it.
    await once(stream, 'close');
  });

  it.each([
    ['of an unknown method', '/ridgewatch.v1.Operations/Nothing', {}, Buffer.alloc(0), 'CALL_UNSUPPORTED'],
    ['without a message', STATUS, {}, Buffer.alloc(0), 'REQUEST_UNREADABLE'],
    ['with a message that is too large', STATUS, {}, framed(Buffer.alloc(10), 5_000_000), 'MESSAGE_TOO_LARGE'],
    ['with another content type', STATUS, { 'content-type': 'text/html' }, Buffer.alloc(0), 'CONTENT_TYPE_UNSUPPORTED'],
    [
      'in an unknown compression',
      STATUS,
      { 'grpc-encoding': 'x' },
      Buffer.from([1, 0, 0, 0, 1, 7]),
      'COMPRESSION_UNSUPPORTED',
    ],
  ])('%s is counted', async (_, path, headers, bytes, reason) => {
    await start();
    const stream = begin(session(), path, headers);
    stream.end(bytes);
    await once(stream, 'close');
    expect(refusals).toEqual([reason]);
    expect(await ask()).toBe('served');
  });

  it('whose deadline passes before its message is complete is counted', async () => {
    await start();
    const stream = begin(session(), STATUS, { 'grpc-timeout': '50m' });
    expect((await statusOf(stream))[0]).toBe(Code.DEADLINE_EXCEEDED);
    await expect.poll(() => refusals).toEqual(['DEADLINE_EXCEEDED']);
  });

  it('is refused when its message would exceed the memory for all incomplete messages', async () => {
    await start({ maxUnfinishedBytes: 3_000_000 });
    const clients = Array.from({ length: 3 }, () => session());
    const streams = clients.flatMap((client) => [begin(client), begin(client)]);
    for (const stream of streams) stream.write(framed(Buffer.alloc(1_000_000), 4_000_000));
    await expect.poll(() => refusals.length).toBeGreaterThanOrEqual(2);
    expect(new Set(refusals)).toEqual(new Set(['TOO_MANY_UNFINISHED']));
    expect(refusals.length).toBeLessThan(streams.length);
    expect(await ask()).toBe('served');
  });
});

describe('a stream', () => {
  const reports: CallReport[] = [];
  const settings = {
    ...OPEN_CALLS,
    observe: (report: CallReport) => void reports.push(report),
    defaultDeadlineMs: 1000,
  };
  let answer: PromiseWithResolvers<void>;
  const services = {
    identification: {
      identifyStream: (call) => {
        call.on('data', () => void answer.promise.then(() => call.write({ requestId: 'x', outcome: undefined })));
        call.on('end', () => call.end());
      },
    } as IdentificationServer,
    gallery: {
      enrollStream: ((call, callback) => {
        const followed = followCall(call, settings, false);
        const fault = faultOf(call.metadata);
        void reported('Gallery/EnrollStream', followed, settings, async () => {
          for await (const message of call) expect(message).toBeDefined();
          const why = fault();
          if (why !== undefined) throw why;
          return EnrollStreamResponse.create({});
        }).then((outcome) => {
          if ('failure' in outcome) callback(toServiceError(outcome.failure));
          else callback(null, outcome.response);
        });
      }) satisfies GalleryServer['enrollStream'],
    } as unknown as GalleryServer,
  };
  const fails = (stream: { once(event: 'error', listener: (error: ServiceError) => void): unknown }) =>
    new Promise<ServiceError>((resolve) => stream.once('error', resolve)).then(readServiceError);

  it('of searches is ended when no message comes, except while a search waits for its answer', async () => {
    answer = Promise.withResolvers();
    await start({ streamIdleMs: 100 }, services);
    const client = new IdentificationClient(`127.0.0.1:${port}`, credentials.createInsecure());
    ends.push(() => client.close());
    const stream = client.identifyStream();
    const failed = fails(stream);
    const answered = once(stream, 'data');
    stream.write(IdentifyStreamRequest.create({}));
    const quiet = begin(session(), '/ridgewatch.v1.Identification/IdentifyStream');
    expect(await statusOf(quiet)).toEqual([Code.DEADLINE_EXCEEDED, 'STREAM_IDLE']);
    await once(quiet, 'close');
    expect(refusals).toEqual(['STREAM_IDLE']);
    answer.resolve();
    await answered;
    expect(await failed).toMatchObject({ code: Code.DEADLINE_EXCEEDED, reason: 'STREAM_IDLE' });
    expect(refusals).toEqual(['STREAM_IDLE', 'STREAM_IDLE']);
  });

  it('of enrolments is ended when no message comes, and reported once with the reason', async () => {
    await start({ streamIdleMs: 100 }, services);
    const client = new GalleryClient(`127.0.0.1:${port}`, credentials.createInsecure());
    ends.push(() => client.close());
    const outcome = new Promise<ServiceError | null>((resolve) => {
      const stream = client.enrollStream((error) => resolve(error));
      stream.write(EnrollStreamRequest.create({}));
    });
    expect(readServiceError((await outcome) as ServiceError)).toMatchObject({ reason: 'STREAM_IDLE' });
    await expect.poll(() => reports.map(({ reason }) => reason)).toEqual(['STREAM_IDLE']);
    expect(refusals).toEqual([]);
  });
});

describe('any bytes', () => {
  const settingsFrame = frameOf(4, 0, Buffer.alloc(0));
  const headersFrame = (path: string) => frameOf(1, 1, headersOf(path));
  const begins = fc.constantFrom(
    Buffer.alloc(0),
    PREFACE,
    Buffer.concat([PREFACE, settingsFrame]),
    Buffer.concat([PREFACE, settingsFrame, headersFrame(STATUS)]),
    Buffer.concat([PREFACE, settingsFrame, headersFrame(STATUS), Buffer.from([0, 1, 0, 0, 1, 0, 0, 0, 1])]),
    Buffer.concat([PREFACE, settingsFrame, headersFrame('/x/\x7f"%é')]),
  );

  it.each([
    ['without TLS', undefined],
    ['with TLS', TLS],
  ])('neither end the process nor leave a connection open, %s', async (_, tls) => {
    await start({}, {}, tls);
    await fc.assert(
      fc.asyncProperty(begins, fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (text, bytes, isRude) => {
        const socket = await open(Buffer.concat([text, bytes]));
        if (isRude) socket.resetAndDestroy();
        else socket.end();
        await ended(socket);
      }),
      { numRuns: 150 },
    );
    await expect.poll(() => server.connectionCount).toBe(0);
    expect(await ask({ tls: tls !== undefined, host: 'localhost' })).toBe('served');
  });
});
