/** Connections that violate HTTP/2, and calls that their callers abort. */
import { once } from 'node:events';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
} from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApiServer } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';
import { frame, openSession, rawCall } from './raw-call.ts';

const STATUS = '/ridgewatch.v1.Operations/GetStatus';

let server: ApiServer;
let port: number;
let refusals: string[];
const ends: (() => void)[] = [];

beforeEach(async () => {
  ({ server, refusals } = createApiServer());
  port = await server.listen('127.0.0.1', 0, undefined);
});
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await server.stop(0);
});

function session(options: ClientSessionOptions = {}): ClientHttp2Session {
  const client = connect(`http://127.0.0.1:${port}`, options);
  client.on('error', () => undefined);
  ends.push(() => client.destroy());
  return client;
}

function begin(client: ClientHttp2Session, headers: Record<string, string> = {}): ClientHttp2Stream {
  const stream = client.request({
    ':method': 'POST',
    ':path': STATUS,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  stream.resume();
  return stream;
}

async function status(): Promise<number> {
  const client = openSession(port);
  ends.push(() => client.destroy());
  return (await rawCall(client, STATUS, frame(Buffer.alloc(0)))).status.code;
}

describe('a connection', () => {
  it.each<[string, (client: ClientHttp2Session) => void]>([
    ['sends a header of 200 KB', (client) => void begin(client, { 'x-large': 'x'.repeat(200_000) })],
    [
      'opens streams and resets them',
      (client) => {
        const reset = (left: number): void => {
          for (let i = 0; i < 100 && !client.destroyed; i++) begin(client).close(constants.NGHTTP2_CANCEL);
          if (left > 0 && !client.destroyed) setImmediate(reset, left - 1);
        };
        reset(200);
      },
    ],
  ])('that %s is closed with the reason HTTP2_RULES_BROKEN', async (_, abuse) => {
    const client = session({ maxSendHeaderBlockLength: 1_000_000 });
    await once(client, 'connect');
    const closed = new Promise((resolve) => client.once('close', resolve));
    abuse(client);
    await closed;
    // The calls before the violation are counted as well: the client ends them before it resets them.
    await expect.poll(() => refusals).toContain('HTTP2_RULES_BROKEN');
    const ofCalls = refusals.filter((reason) => reason !== 'HTTP2_RULES_BROKEN');
    expect(refusals.length - ofCalls.length).toBe(1);
    for (const reason of ofCalls) expect(['CANCELLED', 'REQUEST_UNREADABLE']).toContain(reason);
    expect(await status()).toBe(Code.OK);
  });

  it('that sends invalid frames is closed with the reason HTTP2_RULES_BROKEN', async () => {
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(Buffer.concat([Buffer.from(preface), Buffer.alloc(64, 0xff)]));
    socket.resume();
    await once(socket, 'close');
    expect(refusals).toEqual(['HTTP2_RULES_BROKEN']);
  });
});

describe('a call', () => {
  it.each([
    ['no message', Buffer.alloc(0)],
    ['half a message', frame(Buffer.alloc(100), 0, 1000)],
    ['a message and no end', frame(new Uint8Array())],
  ])('is counted as CANCELLED when its caller aborts it after %s', async (_, bytes) => {
    const client = session();
    await once(client, 'connect');
    const stream = begin(client);
    stream.write(bytes);
    // A ping overtakes queued data. When the second ping returns, the data has arrived.
    for (let i = 0; i < 2; i++) await new Promise((resolve) => client.ping(resolve));
    client.destroy();
    await expect.poll(() => refusals).toEqual(['CANCELLED']);
  });
});
