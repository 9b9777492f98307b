/** Answers that callers request and do not read. */
import { once } from 'node:events';
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { EnrollStreamResponse, type GalleryServer } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import type { IdentificationServer } from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { GetStatusResponse, type OperationsServer } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import type { ApiServer, ApiServerSettings, ApiServices } from '../../src/api/server.ts';
import { createApiServer } from './api-server.ts';
import { frameOf, headersOf, PREFACE } from './http2-bytes.ts';
import { beginCall, frame, messageCall, openSession } from './raw-call.ts';
import { OPEN_CALLS, openUnary } from './open-access.ts';

const STATUS = '/ridgewatch.v1.Operations/GetStatus';
const IDENTIFY_STREAM = '/ridgewatch.v1.Identification/IdentifyStream';
const ENROLL_STREAM = '/ridgewatch.v1.Gallery/EnrollStream';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const WATCH = '/grpc.health.v1.Health/Watch';
const MIB = 1_048_576;
const EMPTY = new Uint8Array();

let server: ApiServer;
let port: number;
let refusals: string[];
const ends: (() => void)[] = [];

async function start(settings: Partial<ApiServerSettings>, services: Partial<ApiServices> = {}): Promise<void> {
  ({ server, refusals } = createApiServer(services, settings));
  port = await server.listen('127.0.0.1', 0, undefined);
}

afterEach(async () => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) end();
  await server.stop(0);
  await expect.poll(() => server.bytesUntaken).toBe(0);
  expect(server.bytesHeld).toBe(0);
});

/** A client that reads nothing but headers. */
function deaf(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  ends.push(() => session.destroy());
  return session;
}

function call(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}): ClientHttp2Stream {
  const stream = beginCall(session, path, headers);
  stream.on('error', () => undefined);
  return stream;
}

/** The code that resets a stream. */
const resetOf = (stream: ClientHttp2Stream) =>
  new Promise<number | undefined>((resolve) => stream.once('close', () => resolve(stream.rstCode)));

/** Whether the service answers another caller. */
async function isServed(): Promise<boolean> {
  const session = openSession(port);
  const { status } = await messageCall(session, STATUS, EMPTY);
  session.destroy();
  return status.code === Number(Code.OK);
}

/** Answers each message of a stream of searches, and a stream of enrolments once. */
const services = {
  identification: {
    identifyStream: (stream) => {
      stream.on('data', () => stream.write({ requestId: 'x', outcome: undefined }));
      stream.on('end', () => stream.end());
    },
  } as IdentificationServer,
  gallery: {
    enrollStream: (stream, callback) => {
      stream.on('data', () => undefined);
      stream.on('end', () => callback(null, EnrollStreamResponse.create({ enrolledCount: 1 })));
    },
  } as GalleryServer,
};
const GALLERY_SYMBOL = Buffer.from('"\x15ridgewatch.v1.Gallery');
const many = (bytes: Uint8Array) => Buffer.concat(Array.from({ length: 64 }, () => frame(bytes)));

describe('an answer that is not read', () => {
  it.each([
    ['to a message', STATUS, frame(EMPTY), true],
    ['to a stream of enrolments', ENROLL_STREAM, many(EMPTY), true],
    ['to a stream of searches', IDENTIFY_STREAM, many(EMPTY), true],
    ['to a stream that stays open', IDENTIFY_STREAM, many(EMPTY), false],
    ['to many reflection requests', REFLECTION, many(GALLERY_SYMBOL), true],
    ['to many reflection requests on a stream that stays open', REFLECTION, many(GALLERY_SYMBOL), false],
    ['to a watch of health', WATCH, frame(EMPTY), true],
  ])('%s ends its call after the time limit, and is counted', async (_, path, bytes, isAll) => {
    await start({ messageMs: 100 }, services);
    const stream = call(deaf(), path);
    stream.write(bytes);
    if (isAll) stream.end();
    expect(await resetOf(stream)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(refusals).toEqual(['ANSWER_NOT_TAKEN']);
    expect(await isServed()).toBe(true);
  });

  it('ends its call after the time limit, even when a deadline has passed before', async () => {
    await start({ messageMs: 200 });
    const stream = call(deaf(), STATUS, { 'grpc-timeout': '50m' });
    stream.end(frame(EMPTY));
    expect(await resetOf(stream)).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(refusals.filter((reason) => reason === 'ANSWER_NOT_TAKEN')).toHaveLength(1);
  });

  it('has its time limit from when the answer before it was read', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await start({ messageMs: 1000 }, services);
    const session = deaf();
    const stream = call(session, IDENTIFY_STREAM);
    stream.end(many(EMPTY));
    for (let taken = 0; taken < 8; taken++) {
      await new Promise<void>((resolve) => session.settings({ initialWindowSize: 8 * taken }, () => resolve()));
      await expect.poll(() => stream.readableLength).toBe(8 * taken);
      await expect.poll(() => server.bytesUntaken).toBe(8);
      vi.advanceTimersByTime(900);
    }
    expect(refusals).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(refusals).toEqual(['ANSWER_NOT_TAKEN']);
  });

  it.each([
    ['of one message', STATUS, frame(EMPTY)],
    ['of a stream', IDENTIFY_STREAM, many(EMPTY)],
    ['of many reflection requests', REFLECTION, many(GALLERY_SYMBOL)],
  ])('does not prevent the eviction of its connection: %s', async (_, path, bytes) => {
    vi.useFakeTimers({ toFake: ['performance'] });
    await start({ maxConnections: 2 }, services);
    const streams = [deaf(), deaf()].map((session) => call(session, path));
    for (const stream of streams) stream.end(bytes);
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    await expect.poll(() => server.obstacle).toMatch(/turned away/);
    vi.advanceTimersByTime(6000);
    expect(server.obstacle).toBeUndefined();
    expect(await isServed()).toBe(true);
    expect(refusals).toEqual(['CONNECTION_EVICTED']);
  });
});

describe('answers that are not read', () => {
  const detail = 'x'.repeat(200_000);
  const getStatus = openUnary('Operations/GetStatus', { ...OPEN_CALLS, defaultDeadlineMs: 60_000 }, () =>
    Promise.resolve(GetStatusResponse.create({ detail })),
  );
  const large = { operations: { getStatus } as unknown as OperationsServer };

  it('stay within their memory limit: the calls of the connection that holds most are reset', async () => {
    await start({ maxUnfinishedBytes: MIB }, large);
    const quiet = call(deaf(), STATUS);
    quiet.end(frame(EMPTY));
    await expect.poll(() => server.bytesUntaken).toBeGreaterThan(detail.length);
    const session = deaf();
    const streams = Array.from({ length: 20 }, () => call(session, STATUS));
    for (const stream of streams) stream.end(frame(EMPTY));
    await expect.poll(() => refusals.length).toBe(18);
    expect(new Set(refusals)).toEqual(new Set(['TOO_MANY_UNTAKEN']));
    expect(server.bytesUntaken).toBeLessThanOrEqual(MIB);
    expect(server.bytesUntaken).toBeGreaterThan(3 * detail.length);
    expect(quiet.closed).toBe(false);
    expect(await isServed()).toBe(true);
  });

  it('release the messages that they answer when others need the memory', async () => {
    await start({ maxUnfinishedBytes: MIB }, large);
    const unknownField = Buffer.concat([Buffer.from([0xfa, 0x7f, 0xc0, 0xcf, 0x24]), Buffer.alloc(600_000)]);
    const stream = call(deaf(), STATUS);
    stream.end(frame(unknownField));
    await expect.poll(() => server.bytesUntaken).toBeGreaterThan(0);
    expect(server.bytesHeld).toBeGreaterThan(600_000);
    const session = openSession(port);
    ends.push(() => session.destroy());
    const { status } = await messageCall(session, STATUS, unknownField);
    expect(status.code).toBe(Code.OK);
    expect(refusals).toEqual(['TOO_MANY_UNFINISHED']);
    expect(stream.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it('close the connection of a caller that does not even read the resets', async () => {
    const detail = 'x'.repeat(4_000_000);
    const getStatus = openUnary('Operations/GetStatus', { ...OPEN_CALLS, defaultDeadlineMs: 60_000 }, () =>
      Promise.resolve(GetStatusResponse.create({ detail })),
    );
    await start({ messageMs: 2000 }, { operations: { getStatus } as unknown as OperationsServer });
    const socket = connectSocket(port, '127.0.0.1').pause();
    socket.on('error', () => undefined);
    ends.push(() => socket.destroy());
    const most = Buffer.from([0x7f, 0xff, 0, 0]);
    const settings = frameOf(4, 0, Buffer.concat([Buffer.from([0, 4]), most]));
    const streams = Array.from({ length: 10 }, (_, i) => 2 * i + 1);
    const asked = streams.flatMap((id) => [frameOf(1, id, headersOf(STATUS)), frameOf(0, id, frame(EMPTY), 1)]);
    socket.write(Buffer.concat([PREFACE, settings, frameOf(8, 0, most), ...asked]));
    await expect.poll(() => server.bytesUntaken, { timeout: 5000 }).toBeGreaterThan(20_000_000);
    await expect.poll(() => server.connectionCount, { timeout: 10_000 }).toBe(0);
    expect(new Set(refusals)).toEqual(new Set(['ANSWER_NOT_TAKEN']));
  });
});
