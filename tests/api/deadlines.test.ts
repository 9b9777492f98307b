/** Deadlines that pass, noticed by either side: reported to the caller with details, and counted once. */
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { type CallReport, type CallSettings } from '../../src/api/call.ts';
import {
  IdentifyResponse,
  type IdentificationServer,
} from '../../src/contract/generated/ridgewatch/v1/identification.ts';
import { GetStatusResponse, type OperationsServer } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { answerStream } from '../../src/api/identification-stream.ts';
import { identifyRoute } from '../../src/api/http-identify.ts';
import { createApiServer, type Watched } from './api-server.ts';
import { messageCall, openSession, rawCall } from './raw-call.ts';
import { OPEN_CALLS, openAdmission, openUnary } from './open-access.ts';

const STATUS = '/ridgewatch.v1.Operations/GetStatus';
const STREAM = '/ridgewatch.v1.Identification/IdentifyStream';
const WATCH = '/grpc.health.v1.Health/Watch';
const REFLECTION = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
const NOTHING = Buffer.alloc(0);

let watched: Watched;
let session: ReturnType<typeof openSession>;
let reports: CallReport[];

/** @param work - of GetStatus */
async function start(work: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const said: CallReport[] = [];
  reports = said;
  const settings: CallSettings = {
    ...OPEN_CALLS,
    observe: (report) => void said.push(report),
    defaultDeadlineMs: 10_000,
  };
  const getStatus = openUnary('Operations/GetStatus', settings, async () => {
    await work();
    return GetStatusResponse.create({ detail: 'late' });
  });
  const identifyStream: IdentificationServer['identifyStream'] = (call) =>
    answerStream(call, settings, () => Promise.resolve(IdentifyResponse.create()));
  watched = createApiServer({
    operations: { getStatus } as unknown as OperationsServer,
    identification: { identifyStream } as unknown as IdentificationServer,
  });
  session = openSession(await watched.server.listen('127.0.0.1', 0, undefined));
}
afterEach(async () => {
  session.destroy();
  await watched.server.stop(0);
});

/** Everything that was counted, from reports of calls and of refusals. */
const counted = () => [...reports.map(({ reason, code }) => reason ?? code), ...watched.refusals];

describe('a deadline', () => {
  it.each(['0S', '0n', '1n', '999u', '00000000H'])('of %s has passed when the call arrives', async (timeout) => {
    await start();
    const { status } = await messageCall(session, STATUS, NOTHING, { 'grpc-timeout': timeout });
    expect(status).toMatchObject({ code: 4, reason: 'DEADLINE_EXCEEDED' });
    expect(counted()).toEqual(['DEADLINE_EXCEEDED']);
  });

  it.each([
    ['a call without its message', STATUS, undefined],
    ['a stream of searches without one', STREAM, undefined],
    ['a watch of health', WATCH, NOTHING],
    ['a watch of health without its message', WATCH, undefined],
    ['a reflection stream without a request', REFLECTION, undefined],
  ])('that ends %s is reported with details and counted once', async (_, path, message) => {
    await start();
    const changes = { 'grpc-timeout': '50m' };
    const { status } =
      message === undefined
        ? await rawCall(session, path, undefined, changes)
        : await messageCall(session, path, message, changes);
    expect(status).toMatchObject({ code: 4, reason: 'DEADLINE_EXCEEDED' });
    await expect.poll(counted).toEqual(['DEADLINE_EXCEEDED']);
    // Nothing is counted after the deadline but the next call.
    await messageCall(session, STATUS, NOTHING);
    expect(counted().toSorted()).toEqual(['DEADLINE_EXCEEDED', 'OK']);
  });

  it('that passes while a handler is still running determines the reported code', async () => {
    const done = Promise.withResolvers<void>();
    await start(() => done.promise);
    const { status } = await messageCall(session, STATUS, NOTHING, { 'grpc-timeout': '50m' });
    expect(status).toMatchObject({ code: 4, reason: 'DEADLINE_EXCEEDED' });
    done.resolve();
    await expect.poll(counted).toEqual(['DEADLINE_EXCEEDED']);
  });

  it('that passes while the thread is busy determines the reported code', async () => {
    await start(() => {
      const until = performance.now() + 60;
      while (performance.now() < until);
      return Promise.resolve();
    });
    const { status } = await messageCall(session, STATUS, NOTHING, { 'grpc-timeout': '20m' });
    expect(status).toMatchObject({ code: 4, reason: 'DEADLINE_EXCEEDED' });
    expect(counted()).toEqual(['DEADLINE_EXCEEDED']);
  });

  it('ends a search over HTTP in the same way', async () => {
    await start();
    const settings: CallSettings = {
      ...OPEN_CALLS,
      observe: (report) => void reports.push(report),
      defaultDeadlineMs: 10_000,
    };
    const deadlineMs = Date.now() + 20;
    const route = identifyRoute(
      (_, context) => {
        context.authorize({ purpose: 'none', galleries: [] });
        while (Date.now() <= deadlineMs);
        return Promise.resolve(IdentifyResponse.create());
      },
      settings,
      1000,
    );
    const body = Buffer.from('{}');
    const answer = await route({ body, deadlineMs, onHangUp: () => undefined }, openAdmission(), '127.0.0.1');
    expect(answer).toMatchObject({ status: 504, body: expect.stringContaining('DEADLINE_EXCEEDED') as string });
    expect(counted()).toEqual(['DEADLINE_EXCEEDED']);
  });
});

it('a call that its caller cancelled is reported as CANCELLED, not as answered', async () => {
  const [began, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await start(() => {
    began.resolve();
    return done.promise;
  });
  const stream = session.request({
    ':method': 'POST',
    ':path': STATUS,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.end(Buffer.alloc(5));
  await began.promise;
  stream.close(8);
  await once(stream, 'close');
  // Once the ping is answered, the server has processed the reset before it.
  await new Promise<void>((resolve) => session.ping(() => resolve()));
  done.resolve();
  await expect.poll(counted).toEqual(['CANCELLED']);
});
