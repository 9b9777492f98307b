/** Message frames that the client library would never send, over a raw connection. */
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { status as Code } from '@grpc/grpc-js';
import type { ClientHttp2Session } from 'node:http2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EnrollStreamRequest, EnrollStreamResponse } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyRequest,
  IdentifyStreamRequest,
  IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { readStatus } from '../../src/api/status.ts';
import { startTestCluster, type TestCluster } from '../cluster.ts';
import { frame, openSession, rawCall } from './raw-call.ts';
import { field } from '../contract/wire-messages.ts';
import {
  call,
  enrolRequest,
  identifyRequest,
  runService,
  samplesOf,
  type RunningService,
  metricsOf,
} from './running-service.ts';

const IDENTIFY = '/ridgewatch.v1.Identification/Identify';
const IDENTIFY_STREAM = '/ridgewatch.v1.Identification/IdentifyStream';
const ENROLL_STREAM = '/ridgewatch.v1.Gallery/EnrollStream';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const MAX_MESSAGE_BYTES = 4_194_304;

let cluster: TestCluster;
let running: RunningService;
let session: ClientHttp2Session;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await runService(await cluster.createDatabase());
});
afterAll(async () => {
  await running.stop();
  await cluster.stop();
});
beforeEach(() => {
  session = openSession(running.service.grpcPort);
});
afterEach(() => session.destroy());

/** Current counts per reason. */
async function refusals(): Promise<Record<string, number>> {
  const text = await metricsOf(running);
  const lines = [...text.matchAll(/^ridgewatch_refused_total\{reason="(\w+)"\} (\d+)$/gm)];
  return Object.fromEntries(lines.map(([, reason, count]) => [reason, Number(count)]));
}

/** The counts that were added during an action. */
async function counted(work: () => Promise<void>): Promise<Record<string, number>> {
  const before = await refusals();
  await work();
  const after = await refusals();
  const changes = Object.entries(after).map(([reason, count]) => [reason, count - (before[reason] ?? 0)] as const);
  return Object.fromEntries(changes.filter(([, change]) => change > 0));
}

const search = (clientRequestId = '') => identifyRequest(samplesOf(1, 0), { clientRequestId });
const searchBytes = () => Buffer.from(IdentifyRequest.encode(search()).finish());
const face = samplesOf(3, 0).slice(2);

interface BadFrame {
  readonly what: string;
  readonly bytes: () => Buffer;
  readonly headers?: Record<string, string>;
  readonly code: Code;
  readonly reason: string;
}

const BAD: readonly BadFrame[] = [
  {
    what: 'a message in gzip',
    bytes: () => frame(gzipSync(searchBytes()), 1),
    headers: { 'grpc-encoding': 'gzip' },
    code: Code.UNIMPLEMENTED,
    reason: 'COMPRESSION_UNSUPPORTED',
  },
  {
    what: 'a message in an unknown compression',
    bytes: () => frame(Buffer.from([7]), 1),
    headers: { 'grpc-encoding': 'br' },
    code: Code.UNIMPLEMENTED,
    reason: 'COMPRESSION_UNSUPPORTED',
  },
  {
    what: 'a compressed message and no name of a compression',
    bytes: () => frame(searchBytes(), 1),
    code: Code.INVALID_ARGUMENT,
    reason: 'REQUEST_UNREADABLE',
  },
  {
    what: 'a message with a flag of 7',
    bytes: () => frame(searchBytes(), 7),
    code: Code.INVALID_ARGUMENT,
    reason: 'REQUEST_UNREADABLE',
  },
  {
    what: 'a message that is too large by a byte',
    bytes: () => frame(Buffer.alloc(100), 0, MAX_MESSAGE_BYTES + 1),
    code: Code.RESOURCE_EXHAUSTED,
    reason: 'MESSAGE_TOO_LARGE',
  },
  {
    what: 'a message that is cut off',
    bytes: () => frame(Buffer.from([1]), 0, 9),
    code: Code.INVALID_ARGUMENT,
    reason: 'REQUEST_UNREADABLE',
  },
  {
    what: 'the head of a message that is cut off',
    bytes: () => Buffer.from([0, 0, 0]),
    code: Code.INVALID_ARGUMENT,
    reason: 'REQUEST_UNREADABLE',
  },
];

describe('a unary call', () => {
  const two = () => Buffer.concat([frame(searchBytes()), frame(searchBytes())]);
  it.each<BadFrame>([
    ...BAD,
    { what: 'no message', bytes: () => Buffer.alloc(0), code: Code.INVALID_ARGUMENT, reason: 'REQUEST_UNREADABLE' },
    { what: 'two messages', bytes: two, code: Code.INVALID_ARGUMENT, reason: 'REQUEST_UNREADABLE' },
  ])('with $what is refused with a sentence and counted once', async ({ bytes, headers, code, reason }) => {
    const changes = await counted(async () => {
      const answer = await rawCall(session, IDENTIFY, bytes(), headers);
      expect(answer.status).toMatchObject({ code, reason });
      expect(answer.status.message).toMatch(/\.$/);
      expect(answer.headers['grpc-accept-encoding']).toBe('identity');
    });
    expect(changes).toEqual({ [reason]: 1 });
  });

  it.each(['PUT', 'GET', 'DELETE'])('with the method %s is refused', async (method) => {
    const answer = await rawCall(session, IDENTIFY, frame(searchBytes()), { ':method': method });
    expect(answer.status).toMatchObject({ code: Code.INVALID_ARGUMENT, reason: 'METHOD_NOT_ALLOWED' });
  });

  it('may name a compression, as clients do, if it does not use it', async () => {
    const answer = await rawCall(session, IDENTIFY, frame(searchBytes()), { 'grpc-encoding': 'gzip' });
    expect(answer.status.code).toBe(Code.OK);
    expect(answer.headers['grpc-accept-encoding']).toBe('identity');
  });

  it('is read from pieces of any size', async () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': IDENTIFY,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...running.headers,
    });
    const trailers = once(stream, 'trailers');
    stream.resume();
    for (const byte of frame(searchBytes()))
      await new Promise<unknown>((resolve) => stream.write(Buffer.from([byte]), resolve));
    stream.end();
    expect(((await trailers) as [Record<string, string>])[0]['grpc-status']).toBe('0');
  });
});

describe('a stream of enrolments', () => {
  const records = (count: number, name: string) =>
    Array.from({ length: count }, (_, i) =>
      frame(EnrollStreamRequest.encode({ record: enrolRequest(face, { clientRequestId: `${name}-${i}` }) }).finish()),
    );

  it.each(BAD)(
    'that ends with $what returns the enrolled subjects and the reason for its end',
    async ({ what, ...bad }) => {
      const before = await call(running.operations, running.operations.getStatus.bind(running.operations), {});
      const changes = await counted(async () => {
        const body = Buffer.concat([...records(120, what.replaceAll(' ', '-')), bad.bytes(), Buffer.alloc(50)]);
        const { status, messages } = await rawCall(
          session,
          ENROLL_STREAM,
          bad.reason === 'REQUEST_UNREADABLE' ? body.subarray(0, -50) : body,
          bad.headers,
        );
        expect(status.code).toBe(Code.OK);
        const { outcomes, enrolledCount, refusedCount, endedEarly } = EnrollStreamResponse.decode(
          messages[0] ?? Buffer.alloc(0),
        );
        expect([enrolledCount, refusedCount, endedEarly]).toEqual([120, 1, true]);
        expect(outcomes.slice(0, 120).every(({ outcome }) => outcome?.$case === 'subjectId')).toBe(true);
        const last = outcomes[120]?.outcome;
        expect(last?.$case === 'error' && readStatus(last.value)).toMatchObject({ code: bad.code, reason: bad.reason });
      });
      expect(changes).toEqual({ [bad.reason]: 1 });
      const after = await call(running.operations, running.operations.getStatus.bind(running.operations), {});
      expect(after.subjectCount - before.subjectCount).toBe(120);
    },
  );

  it.each(BAD)('of only $what is refused as a call', async ({ bytes, headers, code, reason }) => {
    const changes = await counted(async () => {
      const { status } = await rawCall(session, ENROLL_STREAM, bytes(), headers);
      expect(status).toMatchObject({ code, reason });
    });
    expect(changes).toEqual({ [reason]: 1 });
  });
});

describe('a stream of searches', () => {
  const searches = ['a', 'b', 'c'].map((id) => frame(IdentifyStreamRequest.encode({ request: search(id) }).finish()));

  it.each(BAD)(
    'that ends with $what answers the searches before it and then the reason',
    async ({ bytes, headers, code, reason }) => {
      const changes = await counted(async () => {
        const body = Buffer.concat([...searches, bytes()]);
        const { status, messages } = await rawCall(session, IDENTIFY_STREAM, body, headers);
        expect(status).toMatchObject({ code, reason });
        const told = messages
          .map((message) => IdentifyStreamResponse.decode(message))
          .map(({ requestId, outcome }) => [
            requestId,
            outcome?.$case === 'error' ? readStatus(outcome.value).reason : outcome?.$case,
          ]);
        expect(new Map(told as [string, string][])).toEqual(
          new Map([
            ['a', 'response'],
            ['b', 'response'],
            ['c', 'response'],
            ['', reason],
          ]),
        );
      });
      expect(changes).toEqual({ [reason]: 1 });
    },
  );
});

describe('a reflection stream', () => {
  it.each(BAD)('with $what ends with the reason', async ({ bytes, headers, code, reason }) => {
    const changes = await counted(async () => {
      const { status } = await rawCall(session, REFLECTION, bytes(), headers);
      expect(status).toMatchObject({ code, reason });
    });
    expect(changes).toEqual({ [reason]: 1 });
  });
});

describe('a stream', () => {
  it('of enrolments that stops sending returns the enrolled subjects and the reason for its end', async () => {
    const hasty = await runService(await cluster.createDatabase(), { RIDGEWATCH_STREAM_IDLE_SECONDS: '1' });
    const client = openSession(hasty.service.grpcPort);
    const stream = client.request({
      ':method': 'POST',
      ':path': ENROLL_STREAM,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...hasty.headers,
    });
    const record = EnrollStreamRequest.encode({ record: enrolRequest(face) }).finish();
    stream.write(Buffer.concat([frame(record), frame(record), frame(record).subarray(0, 9)]));
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    const { enrolledCount, outcomes, endedEarly } = EnrollStreamResponse.decode(Buffer.concat(parts).subarray(5));
    expect([enrolledCount, endedEarly]).toEqual([2, true]);
    const last = outcomes[2]?.outcome;
    expect(last?.$case === 'error' && readStatus(last.value).reason).toBe('STREAM_IDLE');
    client.destroy();
    await hasty.stop();
  });

  it.each([
    ['enrolments', ENROLL_STREAM],
    ['searches', IDENTIFY_STREAM],
    ['reflection requests', REFLECTION],
  ])('of %s may carry more in total than there is memory for at once', async (_, path) => {
    const small = await runService(await cluster.createDatabase(), { RIDGEWATCH_MAX_UNFINISHED_BYTES: '1048576' });
    const client = openSession(small.service.grpcPort);
    const one = frame(field(1000, Buffer.alloc(1000)));
    const { status } = await rawCall(client, path, Buffer.alloc(3000 * one.length, one));
    expect(status.code).toBe(Code.OK);
    expect(small.log.filter((line) => line.includes('TOO_MANY_UNFINISHED'))).toEqual([]);
    client.destroy();
    await small.stop();
  });
});
