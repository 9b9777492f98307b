/** Early answers on a stream of searches: what the caller gets, and what it has to take. */
import { credentials } from '@grpc/grpc-js';
import { connect, type ClientHttp2Session } from 'node:http2';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { CallReport } from '../../src/api/call.ts';
import type { AnswerIdentify } from '../../src/api/identification-service.ts';
import { answerStream } from '../../src/api/identification-stream.ts';
import type { ApiServerSettings } from '../../src/api/server.ts';
import { Failure } from '../../src/failure.ts';
import {
  IdentificationClient,
  IdentifyRequest,
  IdentifyResponse,
  IdentifyStreamRequest,
  type IdentificationServer,
  type IdentifyStreamResponse,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { createApiServer, type Watched } from './api-server.ts';
import { beginCall, frame } from './raw-call.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';
import { OPEN_CALLS } from './open-access.ts';

const STREAM = '/ridgewatch.v1.Identification/IdentifyStream';
/** As in identification-stream.ts. */
const STREAM_WINDOW = 16;
/** Of equal size. */
const EARLY = IdentifyResponse.create({ early: true });
const FINAL = IdentifyResponse.create({ truncated: true });

let watched: Watched;
let port: number;
let reports: CallReport[];
const ends: (() => void)[] = [];

async function start(search: AnswerIdentify, settings: Partial<ApiServerSettings> = {}): Promise<void> {
  const said: CallReport[] = [];
  reports = said;
  const ofCalls = { ...OPEN_CALLS, observe: (report: CallReport) => void said.push(report), defaultDeadlineMs: 10_000 };
  const identifyStream: IdentificationServer['identifyStream'] = (call) =>
    answerStream(call, ofCalls, (request, context, tellEarly) => {
      context.authorize({ purpose: 'none', galleries: [] });
      return search(request, context, tellEarly);
    });
  watched = createApiServer({ identification: { identifyStream } as unknown as IdentificationServer }, settings);
  port = await watched.server.listen('127.0.0.1', 0, undefined);
}

afterEach(async () => {
  vi.useRealTimers();
  for (const end of ends.splice(0)) end();
  await watched.server.stop(0);
});

function openStream() {
  const client = new IdentificationClient(`127.0.0.1:${port}`, credentials.createInsecure(), DIRECT_CHANNEL);
  const stream = client.identifyStream();
  const answers: string[] = [];
  const nameOf = ({ requestId, outcome }: IdentifyStreamResponse) =>
    `${requestId} ${outcome?.$case === 'response' ? (outcome.value.early ? 'early' : 'final') : 'error'}`;
  stream.on('data', (answer: IdentifyStreamResponse) => answers.push(nameOf(answer)));
  stream.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => stream.on('end', () => resolve()));
  ends.push(() => client.close());
  const ask = (id: string) => void stream.write({ request: IdentifyRequest.create({ clientRequestId: id }) });
  return { stream, answers, ended, ask };
}

describe('an early answer of a stream', () => {
  it('precedes the only final one of its search, which the end of the stream waits for', async () => {
    const gate = Promise.withResolvers<void>();
    await start(async (_request, _context, tellEarly) => {
      tellEarly?.(EARLY);
      await gate.promise;
      return FINAL;
    });
    const { stream, answers, ended, ask } = openStream();
    ask('a');
    ask('b');
    stream.end();
    await expect.poll(() => answers).toEqual(['a early', 'b early']);
    gate.resolve();
    await ended;
    expect(answers).toEqual(['a early', 'b early', 'a final', 'b final']);
    // One search is one call, whatever the number of its answers.
    expect(reports.map(({ code }) => code)).toEqual(['OK', 'OK']);
  });

  it('may be followed by an error, which is final', async () => {
    await start((_request, _context, tellEarly) => {
      tellEarly?.(EARLY);
      return Promise.reject(new Failure('resource-exhausted', 'QUEUE_FULL', 'Full.'));
    });
    const { stream, answers, ended, ask } = openStream();
    ask('a');
    stream.end();
    await ended;
    expect(answers).toEqual(['a early', 'a error']);
  });

  it('does not make the stream idle: the search is still to be answered', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const gate = Promise.withResolvers<void>();
    await start(
      async (_request, _context, tellEarly) => {
        tellEarly?.(EARLY);
        await gate.promise;
        return FINAL;
      },
      { streamIdleMs: 1000 },
    );
    const { answers, ask } = openStream();
    ask('a');
    await expect.poll(() => answers).toEqual(['a early']);
    vi.advanceTimersByTime(5000);
    gate.resolve();
    await expect.poll(() => answers).toEqual(['a early', 'a final']);
    expect(watched.refusals).toEqual([]);
    // Answered, it is idle.
    vi.advanceTimersByTime(1001);
    expect(watched.refusals).toEqual(['STREAM_IDLE']);
  });

  it('is one more answer to be taken before further searches are read', async () => {
    const gate = Promise.withResolvers<void>();
    const begun: string[] = [];
    await start(async (request, _context, tellEarly) => {
      begun.push(request.clientRequestId);
      tellEarly?.(EARLY);
      await gate.promise;
      return FINAL;
    });
    const session = deaf();
    const stream = beginCall(session, STREAM);
    stream.on('error', () => undefined);
    const ask = (id: number) => {
      const request = IdentifyRequest.create({ clientRequestId: `q-${10 + id}` });
      stream.write(frame(IdentifyStreamRequest.encode({ request }).finish()));
    };
    for (let id = 0; id < STREAM_WINDOW; id++) ask(id);
    gate.resolve();
    // Half as many searches as without early answers.
    await expect.poll(() => reports.length).toBe(STREAM_WINDOW / 2);
    expect(begun).toHaveLength(STREAM_WINDOW / 2);
    // The library writes one answer after the other.
    const size = watched.server.bytesUntaken;
    expect(size).toBeGreaterThan(0);
    // As the answers are taken, the other searches are read.
    session.settings({ initialWindowSize: size });
    await expect.poll(() => begun.length).toBe(STREAM_WINDOW / 2 + 1);
    session.settings({ initialWindowSize: 2 * STREAM_WINDOW * size });
    await expect.poll(() => begun.length).toBe(STREAM_WINDOW);
    await expect.poll(() => reports.length).toBe(STREAM_WINDOW);
  });

  it('is not sent once the caller has cancelled', async () => {
    const gate = Promise.withResolvers<void>();
    let told = 0;
    await start(async (_request, { signal }, tellEarly) => {
      await gate.promise;
      expect(signal.aborted).toBe(true);
      tellEarly?.(EARLY);
      told++;
      return FINAL;
    });
    const { stream, answers, ask } = openStream();
    ask('a');
    await expect.poll(() => watched.server.bytesHeld).toBeGreaterThan(0);
    stream.cancel();
    await expect.poll(() => watched.server.bytesHeld).toBe(0);
    gate.resolve();
    await expect.poll(() => reports.map(({ reason }) => reason)).toEqual(['CANCELLED']);
    expect([told, answers]).toEqual([1, []]);
  });
});

/** A client that reads nothing but headers. */
function deaf(): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 0 } });
  session.on('error', () => undefined);
  ends.push(() => session.destroy());
  return session;
}
