/** Memory for the messages of concurrent callers. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { status as Code } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { EnrollStreamResponse, type GalleryServer } from '../../src/contract/generated/ridgewatch/v1/gallery.ts';
import {
  IdentifyResponse,
  type IdentificationServer,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import type { ApiServer, ApiServices } from '../../src/api/server.ts';
import { json } from '../../src/http/answers.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import { createApiServer } from './api-server.ts';
import type { Attack, Attacked } from './hostile-caller.ts';
import { frame, openSession, rawCall } from './raw-call.ts';
import { OPEN_CALLS, openUnary } from './open-access.ts';

const IDENTIFY = '/ridgewatch.v1.Identification/Identify';
const STATUS = '/ridgewatch.v1.Operations/GetStatus';
const MIB = 1_048_576;
/** Longest acceptable wait of another caller during the worst messages, in milliseconds. */
const BOUND_MS = 100;
const MAX_HELD = 16 * MIB;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Started {
  readonly server: ApiServer;
  readonly port: number;
  readonly refusals: readonly string[];
  readonly attack: (what: Attack) => Promise<Attacked>;
}

/** @param finish - searches are answered when it resolves */
async function start(finish: Promise<void>, services: Partial<ApiServices> = {}): Promise<Started> {
  const settings = { ...OPEN_CALLS, defaultDeadlineMs: 60_000 };
  const identify = openUnary('Identification/Identify', settings, () => finish.then(() => IdentifyResponse.create({})));
  const { server, refusals } = createApiServer(
    { identification: { identify } as unknown as IdentificationServer, ...services },
    { maxUnfinishedBytes: MAX_HELD },
  );
  const port = await server.listen('127.0.0.1', 0, undefined);
  ends.push(() => server.stop(0));
  const pages = new Map([['/livez', () => json(200, { live: true })]]);
  const http = new HttpServer({ pages, json: new Map() }, () => undefined);
  const httpPort = await http.start('127.0.0.1', 0);
  ends.push(() => http.stop());
  const caller = new Worker(new URL('hostile-caller.ts', import.meta.url), {
    workerData: { grpcPort: port, httpPort },
  });
  ends.push(() => caller.terminate());
  const attack = async (what: Attack) => {
    const answered = once(caller, 'message');
    caller.postMessage(what);
    return ((await answered) as [Attacked])[0];
  };
  return { server, port, refusals, attack };
}

/** The maximum of a figure during an action. */
async function mostOf(figure: () => number, during: Promise<unknown>): Promise<number> {
  let [most, over] = [figure(), false];
  const end = () => void (over = true);
  during.then(end, end);
  while (!over) {
    most = Math.max(most, figure());
    await new Promise(setImmediate);
  }
  return most;
}

describe('messages of all callers together', () => {
  it('stay within their memory limit while they are received, and release it afterwards', async () => {
    const { server, attack } = await start(Promise.resolve());
    // Valid frames without a valid request: refused as soon as they are complete.
    const attacked = attack({ path: IDENTIFY, bytes: new Uint8Array(4 * MIB - 16), times: 60, connections: 6 });
    expect(await mostOf(() => server.bytesHeld, attacked)).toBeLessThanOrEqual(MAX_HELD + MIB);
    const { codes } = await attacked;
    expect(Object.keys(codes).map(Number)).toContain(Code.INVALID_ARGUMENT);
    await expect.poll(() => server.bytesHeld).toBe(0);
  });

  it('stay within their memory limit while they wait for an answer, and leave room for small ones', async () => {
    const finish = Promise.withResolvers<void>();
    const { server, port, refusals, attack } = await start(finish.promise);
    const unknownField = Buffer.concat([Buffer.from([0xfa, 0x7f, 0x80, 0x80, 0xc0, 0x01]), Buffer.alloc(3 * MIB)]);
    const attacked = attack({ path: IDENTIFY, bytes: unknownField, times: 40, connections: 4 });
    const most = mostOf(() => server.bytesHeld, attacked);
    // Three of them fit into the share for larger messages.
    await expect.poll(() => refusals.length, { timeout: 20_000 }).toBe(37);
    expect(new Set(refusals)).toEqual(new Set(['TOO_MANY_UNFINISHED']));
    const session = openSession(port);
    ends.push(() => session.destroy());
    expect((await rawCall(session, STATUS, frame(Buffer.alloc(0)))).status.code).toBe(Code.OK);
    finish.resolve();
    expect(await most).toBeLessThanOrEqual(MAX_HELD + MIB);
    expect((await attacked).codes).toEqual({ [Code.OK]: 3, [Code.RESOURCE_EXHAUSTED]: 37 });
    await expect.poll(() => server.bytesHeld).toBe(0);
  });

  it('are never inflated: compression bombs are refused', async () => {
    const { refusals, attack } = await start(Promise.resolve());
    const bytes = frame(gzipSync(Buffer.alloc(4 * MIB)), 1);
    const before = process.memoryUsage().rss;
    const attacked = attack({
      path: IDENTIFY,
      bytes,
      isBody: true,
      headers: { 'grpc-encoding': 'gzip' },
      times: 1000,
      connections: 10,
    });
    const most = await mostOf(() => process.memoryUsage.rss(), attacked);
    expect((await attacked).codes).toEqual({ [Code.UNIMPLEMENTED]: 1000 });
    expect(refusals).toEqual(Array<string>(1000).fill('COMPRESSION_UNSUPPORTED'));
    // Inflated they would be four gigabytes.
    expect(most - before).toBeLessThan(400 * MIB);
  });

  it('count the memory of each piece, however small the pieces are', async () => {
    const { server, port } = await start(Promise.resolve());
    const session = openSession(port);
    ends.push(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': IDENTIFY, 'content-type': 'application/grpc' });
    stream.on('error', () => undefined);
    for (const byte of frame(Buffer.alloc(100), 0, 1000))
      await new Promise<unknown>((resolve) => stream.write(Buffer.from([byte]), resolve));
    await expect.poll(() => server.bytesHeld).toBeGreaterThan(100 * 100);
    stream.close();
    await expect.poll(() => server.bytesHeld).toBe(0);
  });
});

it('empty messages do not block other callers', async () => {
  let taken = 0;
  const enrollStream: GalleryServer['enrollStream'] = (call, callback) => {
    call.on('data', () => taken++);
    call.on('end', () => callback(null, EnrollStreamResponse.create({})));
  };
  const gallery = { enrollStream } as unknown as GalleryServer;
  const { attack } = await start(Promise.resolve(), { gallery });
  const path = '/ridgewatch.v1.Gallery/EnrollStream';
  let best = Infinity;
  for (let attempt = 0; attempt < 5 && best > BOUND_MS / 2; attempt++) {
    const attacked = attack({ path, bytes: Buffer.alloc(60_000), isBody: true, times: 60, connections: 6 });
    let last = performance.now();
    let longest = 0;
    await mostOf(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      return longest;
    }, attacked);
    expect((await attacked).codes).toEqual({ [Code.OK]: 60 });
    best = Math.min(best, longest);
  }
  expect(taken % 720_000).toBe(0);
  expect(best).toBeLessThan(BOUND_MS);
}, 60_000);
