/** Headers of calls that grpc-js would misread, or would repeat in its answer. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnrollStreamResponse, type GalleryServer } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import type { ApiServer } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';
import { headBytes, beginCall, frame, messageCall, openSession } from './raw-call.ts';

const STATUS = '/ridgewatch.v1.Operations/GetStatus';
const EMPTY = new Uint8Array();

let server: ApiServer;
let refusals: string[];
let session: ClientHttp2Session;
let port: number;

beforeEach(async () => {
  ({ server, refusals } = createApiServer());
  port = await server.listen('127.0.0.1', 0, undefined);
  session = connect(`http://127.0.0.1:${port}`);
});
afterEach(async () => {
  session.destroy();
  await server.stop(0);
});

it.each(['soon', 'abc', '', '-1S', '123456789S', '1.5S', '1', 'S', '1 S', '1s', '+1S', '1S, 2S'])(
  'rejects and counts an invalid grpc-timeout: "%s"',
  async (timeout) => {
    const { status } = await messageCall(session, STATUS, EMPTY, { 'grpc-timeout': timeout });
    expect(status).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'TIMEOUT_INVALID' });
    expect(refusals).toEqual(['TIMEOUT_INVALID']);
  },
);

it.each(['0n', '0S', '1n'])('ends and counts a call without any time left at once: %s', async (timeout) => {
  const { status } = await messageCall(session, STATUS, undefined, { 'grpc-timeout': timeout });
  expect(status.code).toBe(Code.DEADLINE_EXCEEDED);
  await expect.poll(() => refusals).toEqual(['DEADLINE_EXCEEDED']);
});

it.each(['99999999H', '597H', '99999999S', '99999999m', '10S'])(
  'does not end a call with a long grpc-timeout at once: %s',
  async (timeout) => {
    const stream = beginCall(session, STATUS, { 'grpc-timeout': timeout }).resume();
    // A timeout that overflows would have passed by the time this call has timed out.
    await messageCall(session, STATUS, undefined, { 'grpc-timeout': '20m' });
    const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
    stream.end(frame(EMPTY));
    expect((await trailers)[0]['grpc-status']).toBe('0');
    await expect.poll(() => refusals).toEqual(['DEADLINE_EXCEEDED']);
  },
);

const LONG = 'x'.repeat(50_000);
it.each([
  ['method', `/ridgewatch.v1.Operations/${LONG}`, {}],
  ['service', `/${LONG}/GetStatus`, {}],
  ['empty path', '/', {}],
  ['path that only the server uses internally', '/refused/TIMEOUT_INVALID', {}],
  ['property of every object', '/__proto__', {}],
  ['timeout', STATUS, { 'grpc-timeout': `${LONG}S` }],
  ['content type', STATUS, { 'content-type': `text/${LONG}` }],
])('counts an unknown name and does not repeat it in the answer: %s', async (_, path, headers) => {
  const answer = await messageCall(session, path, EMPTY, headers);
  const { status } = answer;
  expect(status.code).not.toBe(Code.OK);
  expect(headBytes(answer)).toBeLessThan(2000);
  expect(refusals).toHaveLength(1);
});

it('answers a call of an unknown method with UNIMPLEMENTED and a reason', async () => {
  const { status } = await messageCall(session, '/ridgewatch.v1.Operations/Nothing', EMPTY);
  expect(status).toMatchObject({ code: Code.UNIMPLEMENTED, reason: 'CALL_UNSUPPORTED' });
});

describe('headers', () => {
  const LIMIT = 8192;
  /** Added by the client: method, path, scheme, authority, type and te, 32 bytes for each. */
  const ADDED = 6 * 32 + ':method:path:scheme:authoritycontent-typete'.length + 'POSThttptrailers'.length;
  const room = () => LIMIT - ADDED - STATUS.length - 'application/grpc'.length - `127.0.0.1:${port}`.length;

  it.each([
    ['one', (bytes: number) => ({ 'x-a': 'v'.repeat(bytes - 35) })],
    ['many', (bytes: number) => ({ 'x-a': 'v'.repeat(4000), 'x-b': 'v'.repeat(bytes - 4070) })],
  ])('of a call are limited in size, and the error states the limit: %s', async (_, headersOf) => {
    const fits = await messageCall(session, STATUS, EMPTY, headersOf(room()));
    expect(fits.status.code).toBe(Code.OK);
    const { status } = await messageCall(session, STATUS, EMPTY, headersOf(room() + 1));
    expect(status).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      reason: 'HEADERS_TOO_LARGE',
      metadata: { most_bytes: String(LIMIT) },
    });
    expect(refusals).toEqual(['HEADERS_TOO_LARGE']);
  });

  it('that the service does not use are dropped before the call is made', async () => {
    const seen: unknown[] = [];
    const enrollStream: GalleryServer['enrollStream'] = (call, callback) => {
      seen.push(call.metadata.getMap());
      callback(null, EnrollStreamResponse.create({}));
    };
    const other = createApiServer({ gallery: { enrollStream } as unknown as GalleryServer });
    const caller = openSession(await other.server.listen('127.0.0.1', 0, undefined));
    const extra = { 'x-a': 'v'.repeat(4000), cookie: 'a=b', 'x-b-bin': 'AAAA', 'grpc-encoding': 'identity' };
    await messageCall(caller, '/ridgewatch.v1.Gallery/EnrollStream', EMPTY, extra);
    expect(seen).toEqual([{}]);
    caller.destroy();
    await other.server.stop(0);
  });

  it('that HTTP/2 retains count as held bytes while the call is open', async () => {
    const stream = beginCall(session, STATUS, { ':authority': 'a'.repeat(4000) }).resume();
    await expect.poll(() => server.bytesHeld).toBe(4004);
    stream.close();
    await expect.poll(() => server.bytesHeld).toBe(0);
  });
});
