/** Headers of calls that grpc-js would misread, or answer in the caller's own words. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ApiServer } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';
import { headBytes, beginCall, frame, messageCall } from './raw-call.ts';

const STATUS = '/ridgewatch.v1.Operations/GetStatus';
const EMPTY = new Uint8Array();

let server: ApiServer;
let refusals: string[];
let session: ClientHttp2Session;

beforeEach(async () => {
  ({ server, refusals } = createApiServer());
  session = connect(`http://127.0.0.1:${await server.listen('127.0.0.1', 0, undefined)}`);
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
