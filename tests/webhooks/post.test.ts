/** Attempts at a real receiver. */
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { readDestination } from '../../src/webhooks/destination.ts';
import { post, type Receiver } from '../../src/webhooks/post.ts';
import { startReceiver, withStatus, type TestReceiver } from './receiver.ts';

let receiver: TestReceiver;
beforeAll(async () => {
  receiver = await startReceiver();
});
beforeEach(() => {
  receiver.received.length = 0;
});
afterAll(() => receiver.close());

const never = new AbortController().signal;
const send = (changes: Partial<Receiver> = {}, signal = never, ms?: number) =>
  post(
    { url: readDestination(receiver.url), ca: receiver.ca, isPrivate: true, ...changes },
    { 'content-type': 'text/plain' },
    'grüße',
    signal,
    ms,
  );

it('delivers the whole body, and any 2xx says so', async () => {
  for (const status of [200, 204, 299]) {
    receiver.answer = withStatus(status);
    expect(await send()).toEqual({ outcome: 'delivered' });
  }
  expect(receiver.received.map(({ body }) => body)).toEqual(['grüße', 'grüße', 'grüße']);
});

it('fails at other statuses, ends at 410, and follows no redirect', async () => {
  receiver.answer = withStatus(503);
  expect(await send()).toEqual({ outcome: 'failed', why: 'it answered with 503' });
  receiver.answer = withStatus(410);
  expect(await send()).toEqual({ outcome: 'gone' });
  receiver.answer = (answer) => void answer.writeHead(307, { location: '/elsewhere' }).end();
  expect(await send()).toEqual({ outcome: 'failed', why: 'it answered with 307' });
  expect(receiver.received.map(({ path }) => path)).toEqual(['/hits', '/hits', '/hits']);
});

it('reads no body, even one without an end', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  receiver.answer = (answer) => {
    answer.on('close', resolve);
    answer.writeHead(200);
    const more = () => void (answer.destroyed || answer.write(Buffer.alloc(65_536), more));
    more();
  };
  expect(await send()).toEqual({ outcome: 'delivered' });
  await promise;
});

it('waits for a slow receiver only so long, and not after a stop', async () => {
  receiver.answer = () => undefined;
  expect(await send({}, never, 300)).toEqual({ outcome: 'failed', why: 'no answer within 0.3 s' });
  const stop = new AbortController();
  receiver.answer = () => stop.abort(new Error('stopped'));
  await expect(send({}, stop.signal)).rejects.toThrow('stopped');
});

it('sends nothing to a receiver whose certificate no authority vouches for, or has another name', async () => {
  receiver.answer = withStatus(204);
  expect(await send({ ca: undefined })).toMatchObject({ outcome: 'failed' });
  const url = readDestination(`https://localhost:${receiver.port}/`);
  expect(await send({ url })).toEqual({ outcome: 'failed', why: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  expect(receiver.received).toEqual([]);
});

it('refuses private addresses, also those that a name leads to', async () => {
  await expect(send({ isPrivate: false })).rejects.toMatchObject({ reason: 'WEBHOOK_URL_REFUSED' });
  const url = readDestination(`https://localhost:${receiver.port}/`);
  await expect(send({ url, isPrivate: false })).rejects.toMatchObject({ reason: 'WEBHOOK_URL_REFUSED' });
  expect(receiver.received).toEqual([]);
});

it('asks for the address once, and connects to that one', async () => {
  receiver.answer = withStatus(204);
  const lookup = vi.fn((_host: string, _options: object, use: (error: null, all: object[]) => void) =>
    use(null, [{ address: '127.0.0.1', family: 4 }]),
  );
  const url = readDestination(`https://receiver.example:${receiver.port}/`);
  expect(await send({ url, isPrivate: false, lookup: lookup as never })).toEqual({ outcome: 'delivered' });
  expect(lookup).toHaveBeenCalledTimes(1);
});

it('goes by no proxy of the environment', async () => {
  vi.stubEnv('https_proxy', 'http://127.0.0.1:9');
  vi.stubEnv('NODE_USE_ENV_PROXY', '1');
  receiver.answer = withStatus(204);
  expect(await send().finally(() => vi.unstubAllEnvs())).toEqual({ outcome: 'delivered' });
});

it('says why nothing was sent when the receiver is away', async () => {
  const away = await startReceiver();
  await away.close();
  expect(await send({ url: readDestination(away.url) })).toEqual({ outcome: 'failed', why: 'ECONNREFUSED' });
});
