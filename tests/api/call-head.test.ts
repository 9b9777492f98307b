/** Headers of calls that grpc-js would misread, or answer in the caller's own words. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EnrollStreamResponse, type GalleryServer } from '../../src/api/generated/ridgewatch/v1/gallery.ts';
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
  'a time that is none is the mistake of the caller, and counted: "%s"',
  async (timeout) => {
    const { status } = await messageCall(session, STATUS, EMPTY, { 'grpc-timeout': timeout });
    expect(status).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'TIMEOUT_INVALID' });
    expect(refusals).toEqual(['TIMEOUT_INVALID']);
  },
);

it.each(['0n', '0S', '1n'])('no time at all is over at once, and counted: %s', async (timeout) => {
  const { status } = await messageCall(session, STATUS, undefined, { 'grpc-timeout': timeout });
  expect(status.code).toBe(Code.DEADLINE_EXCEEDED);
  await expect.poll(() => refusals).toEqual(['DEADLINE_EXCEEDED']);
});

it.each(['99999999H', '597H', '99999999S', '99999999m', '10S'])(
  'much time is not over at once: %s',
  async (timeout) => {
    const stream = beginCall(session, STATUS, { 'grpc-timeout': timeout }).resume();
    // One that could be over would be by then.
    await messageCall(session, STATUS, undefined, { 'grpc-timeout': '20m' });
    const trailers = once(stream, 'trailers') as Promise<[Record<string, string>]>;
    stream.end(frame(EMPTY));
    expect((await trailers)[0]['grpc-status']).toBe('0');
    await expect.poll(() => refusals).toEqual(['DEADLINE_EXCEEDED']);
  },
);

const LONG = 'x'.repeat(50_000);
it.each([
  ['of a method', `/ridgewatch.v1.Operations/${LONG}`, {}],
  ['of a service', `/${LONG}/GetStatus`, {}],
  ['of none', '/', {}],
  ['of what only the server leads calls to', '/refused/TIMEOUT_INVALID', {}],
  ['of a property that every object has', '/__proto__', {}],
  ['of a time', STATUS, { 'grpc-timeout': `${LONG}S` }],
  ['of a way to write messages', STATUS, { 'content-type': `text/${LONG}` }],
])('a name that is not known is counted, and not told again: %s', async (_, path, headers) => {
  const answer = await messageCall(session, path, EMPTY, headers);
  const { status } = answer;
  expect(status.code).not.toBe(Code.OK);
  expect(headBytes(answer)).toBeLessThan(2000);
  expect(refusals).toHaveLength(1);
});

it('says that there is no such method, with a reason', async () => {
  const { status } = await messageCall(session, '/ridgewatch.v1.Operations/Nothing', EMPTY);
  expect(status).toMatchObject({ code: Code.UNIMPLEMENTED, reason: 'CALL_UNSUPPORTED' });
});

describe('headers', () => {
  const LIMIT = 8192;
  /** What the client adds: method, path, scheme, authority, type and te, 32 bytes for each. */
  const ADDED = 6 * 32 + ':method:path:scheme:authoritycontent-typete'.length + 'POSThttptrailers'.length;
  const room = () => LIMIT - ADDED - STATUS.length - 'application/grpc'.length - `127.0.0.1:${port}`.length;

  it.each([
    ['one', (bytes: number) => ({ 'x-a': 'v'.repeat(bytes - 35) })],
    ['many', (bytes: number) => ({ 'x-a': 'v'.repeat(4000), 'x-b': 'v'.repeat(bytes - 4070) })],
  ])('of a call have a limit, and are told it: %s', async (_, headersOf) => {
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

  it('that are not needed are dropped before the call is made', async () => {
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

  it('that HTTP/2 keeps count for as long as the call is open', async () => {
    const stream = beginCall(session, STATUS, { ':authority': 'a'.repeat(4000) }).resume();
    await expect.poll(() => server.bytesHeld).toBe(4004);
    stream.close();
    await expect.poll(() => server.bytesHeld).toBe(0);
  });
});
