/** Callers of the HTTP surface that disconnect, never finish, or are not allowed; over raw sockets. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { json } from '../../src/http/answers.ts';
import type { JsonRoute } from '../../src/http/routes.ts';
import type { HttpLimits } from '../../src/http/http-limits.ts';
import { HttpServer } from '../../src/http/http-server.ts';

let server: HttpServer;
let port: number;
let refusals: string[];
let defects: unknown[];
let searched: number[];
let bodies: Uint8Array[];

async function start(limits: Partial<HttpLimits> = {}): Promise<void> {
  // Late reports of an earlier test's server go to that test's list.
  const [said, thrown, lengths, received]: [string[], unknown[], number[], Uint8Array[]] = [[], [], [], []];
  [refusals, defects, searched, bodies] = [said, thrown, lengths, received];
  const identify: JsonRoute = () => ({
    answer: ({ body }) => {
      lengths.push(body.length);
      received.push(Uint8Array.from(body));
      return Promise.resolve(json(200, { bytes: body.length }));
    },
    leave: () => undefined,
  });
  const pages = new Map(['/livez', '/readyz', '/metrics'].map((path) => [path, () => json(200, { path })]));
  server = new HttpServer(
    { pages, json: new Map([['/v1/identify', identify]]) },
    ({ reason, defect }) => {
      said.push(reason);
      if (defect !== undefined) thrown.push(defect);
    },
    { maxBodyBytes: 1_000_000, ...limits },
  );
  port = await server.start('127.0.0.1', 0);
}

beforeEach(() => start());
afterEach(async () => {
  await server.stop();
  expect(defects).toEqual([]);
});

const HEAD = 'POST /v1/identify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n';

async function open(text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

/** Everything received until the server closes the connection. */
async function answerOf(text: string): Promise<string> {
  const socket = await open(text);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => (answer += part));
  if (!socket.closed) await once(socket, 'close');
  return answer;
}

async function post(headers: Record<string, string>, body = '{}'): Promise<string> {
  const lines = Object.entries({ host: 'localhost', 'content-type': 'application/json', ...headers });
  const head = lines.filter(([, value]) => value !== '').map(([name, value]) => `${name}: ${value}\r\n`);
  const text = `POST /v1/identify HTTP/1.1\r\n${head.join('')}connection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  return answerOf(text);
}

async function isAlive(): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/livez`)).status === 200;
}

describe('a caller that disconnects or is malformed', () => {
  it.each([
    ['hangs up within a body', `${HEAD}content-length: 1000\r\n\r\n{"samples":`, 'CALLER_GONE'],
    ['hangs up within a chunk', `${HEAD}transfer-encoding: chunked\r\n\r\nff\r\n{"a"`, 'CALLER_GONE'],
  ])('is counted when it %s, with no other effect', async (_, text, reason) => {
    const socket = await open(text);
    await expect.poll(() => server.bytesHeld).toBeGreaterThan(0);
    socket.resetAndDestroy();
    await expect.poll(() => refusals).toEqual([reason]);
    await expect.poll(() => server.bytesHeld).toBe(0);
    expect(await isAlive()).toBe(true);
  });

  it('receives 400 when it half-closes the connection within a body', async () => {
    const socket = await open(`${HEAD}content-length: 1000\r\n\r\n{"samples":`);
    socket.end();
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 400 [^]*CALLER_GONE/);
    await expect.poll(() => server.connectionCount).toBe(0);
    expect(refusals).toEqual(['CALLER_GONE']);
  });

  it.each([
    ['a bad chunk size', `${HEAD}transfer-encoding: chunked\r\n\r\nxyz\r\n{}`],
    ['a chunk longer than it says', `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{}}}}\r\n0\r\n\r\n`],
    ['an unknown transfer encoding', `${HEAD}transfer-encoding: gzip, foo\r\n\r\n{}`],
    ['a length that is not a number', `${HEAD}content-length: ten\r\n\r\n{}`],
    ['two lengths', `${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`],
    ['a length and chunks', `${HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}`],
    ['an encoding before the chunks', `${HEAD}transfer-encoding: gzip, chunked\r\nconnection: close\r\n\r\n0\r\n\r\n`],
    ['chunks twice', `${HEAD}transfer-encoding: chunked, chunked\r\nconnection: close\r\n\r\n0\r\n\r\n`],
    ['no HTTP', 'hello\r\n\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['a zero character in the path', 'GET /liv\0ez HTTP/1.1\r\nhost: localhost\r\n\r\n'],
    ['a control character in the path', 'GET /livez\x01 HTTP/1.1\r\nhost: localhost\r\n\r\n'],
    ['a zero character in the name of a header', 'GET /livez HTTP/1.1\r\nhost: localhost\r\na\0b: c\r\n\r\n'],
    ['a zero character in a header', 'GET /livez HTTP/1.1\r\nhost: local\0host\r\n\r\n'],
    ['an escape character in a header', 'GET /livez HTTP/1.1\r\nhost: localhost\r\na: \x1b[31m\r\n\r\n'],
    ['an invalid method', 'GE\0T /livez HTTP/1.1\r\nhost: localhost\r\n\r\n'],
    ['a header without a name', 'GET /livez HTTP/1.1\r\n: x\r\n\r\n'],
    ['no host', 'GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n'],
  ])('receives 400 for %s', async (_, text) => {
    expect(await answerOf(text)).toMatch(/^HTTP\/1.1 400 /);
    expect(refusals).toEqual(['HTTP_MALFORMED']);
    expect(await isAlive()).toBe(true);
  });

  it('receives 431 for headers without an end', async () => {
    const answer = await answerOf(`GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(20_000)}`);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
    expect(refusals).toEqual(['HTTP_HEAD_TOO_LARGE']);
  });
});

it('accepts as many headers as fit into the limit', async () => {
  const headers = Array.from({ length: 1900 }, (_, i) => `a${i}:\r\n`).join('');
  expect(await answerOf(`GET /livez HTTP/1.1\r\nhost: localhost\r\n${headers}connection: close\r\n\r\n`)).toMatch(
    / 200 /,
  );
});

describe('a caller that never finishes', () => {
  it.each([
    ['headers', 'GET /livez HTTP/1.1\r\nhost: localhost\r\n'],
    ['a body', `${HEAD}content-length: 1000\r\n\r\n{"samples":`],
    ['chunks', `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`],
  ])('sending %s is disconnected after the time limit', async (_, text) => {
    await server.stop();
    await start({ headersMs: 100, requestMs: text.includes('\r\n\r\n') ? 100 : 60_000 });
    expect(await answerOf(text)).toMatch(/^HTTP\/1.1 408 /);
    expect(refusals).toEqual(['HTTP_TIMEOUT']);
    await expect.poll(() => server.bytesHeld).toBe(0);
  });

  it('on a kept-alive connection is disconnected after the idle limit', async () => {
    await server.stop();
    await start({ keepAliveMs: 100 });
    expect(await answerOf('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
  });

  it('cannot exceed the memory for bodies, on any number of connections', async () => {
    await server.stop();
    await start({ maxBytesHeld: 3_000_000, maxConnections: 100 });
    const part = `${HEAD}content-length: 900000\r\n\r\n${'x'.repeat(500_000)}`;
    const sockets = await Promise.all(Array.from({ length: 30 }, () => open(part)));
    await expect.poll(() => refusals.filter((reason) => reason === 'TOO_MANY_BODIES').length).toBeGreaterThan(20);
    expect(server.bytesHeld).toBeLessThanOrEqual(3_000_000);
    expect(server.bytesHeld).toBeGreaterThan(0);
    expect(await isAlive()).toBe(true);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => server.bytesHeld).toBe(0);
    expect(await post({})).toMatch(/^HTTP\/1.1 200 /);
  });

  it('cannot block others by holding connections', async () => {
    await server.stop();
    await start({ maxConnections: 8 });
    const sockets = await Promise.all(Array.from({ length: 20 }, () => open(`${HEAD}content-length: 9\r\n\r\n{`)));
    expect(await isAlive()).toBe(true);
    expect(server.connectionCount).toBeLessThanOrEqual(8);
    expect(refusals).toContain('CONNECTION_EVICTED');
    for (const socket of sockets) socket.destroy();
  });

  it('cannot inflate a body by chunks of one byte: it is counted by its bytes', async () => {
    const socket = await open(`${HEAD}transfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(10_000)}`);
    await expect.poll(() => server.bytesHeld).toBeGreaterThanOrEqual(10_000);
    expect(server.bytesHeld).toBeLessThan(40_000);
    socket.destroy();
  });
});

describe('a search', () => {
  it.each([
    ['another host', { host: 'evil.example' }, 403, 'HOST_REFUSED'],
    ['another host with our port', { host: 'evil.example:9151' }, 403, 'HOST_REFUSED'],
    ['a host that begins like ours', { host: 'localhost.evil.example' }, 403, 'HOST_REFUSED'],
    ['an address that begins like ours', { host: '127.0.0.1.evil.example' }, 403, 'HOST_REFUSED'],
    ['the unspecified address', { host: '0.0.0.0:9151' }, 403, 'HOST_REFUSED'],
    ['another origin', { origin: 'http://evil.example' }, 403, 'ORIGIN_REFUSED'],
    ['another port as origin', { origin: 'http://localhost:3000' }, 403, 'ORIGIN_REFUSED'],
    ['the origin of a file', { origin: 'null' }, 403, 'ORIGIN_REFUSED'],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403, 'ORIGIN_REFUSED'],
    ['a site beside ours', { 'sec-fetch-site': 'same-site' }, 403, 'ORIGIN_REFUSED'],
    ['no content type', { 'content-type': '' }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['a content type of forms', { 'content-type': 'text/plain' }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    [
      'JSON hidden in another content type',
      { 'content-type': 'text/plain; application/json' },
      415,
      'CONTENT_TYPE_UNSUPPORTED',
    ],
    ['another alphabet', { 'content-type': 'application/json; charset=utf-16' }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['a content encoding', { 'content-encoding': 'gzip' }, 415, 'CONTENT_TYPE_UNSUPPORTED'],
    ['an invalid time', { 'x-timeout-ms': 'soon' }, 400, 'TIMEOUT_INVALID'],
    ['a time in hexadecimal', { 'x-timeout-ms': '0x1000' }, 400, 'TIMEOUT_INVALID'],
    ['a time without end', { 'x-timeout-ms': 'Infinity' }, 400, 'TIMEOUT_INVALID'],
    ['a time of many digits', { 'x-timeout-ms': '1000000000' }, 400, 'TIMEOUT_INVALID'],
    ['an exponent', { 'x-timeout-ms': '1e308' }, 400, 'TIMEOUT_INVALID'],
    ['a time of zero', { 'x-timeout-ms': '0.0' }, 400, 'TIMEOUT_INVALID'],
    ['an expectation beside the known one', { expect: '100-continue, x' }, 417, 'EXPECTATION_UNKNOWN'],
    ['an expectation', { expect: 'the-unexpected' }, 417, 'EXPECTATION_UNKNOWN'],
  ])('with %s is refused before its body is read', async (_, headers, status, reason) => {
    expect(await post(headers)).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*"reason":"${reason}"`));
    expect(refusals).toEqual([reason]);
    expect(searched).toEqual([]);
  });

  it('with two hosts is refused', async () => {
    const text = 'POST /v1/identify HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n';
    expect(await answerOf(`${text}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`)).toMatch(
      /^HTTP\/1.1 40[03] /,
    );
    expect(searched).toEqual([]);
  });

  it.each(['localhost', 'localhost:9151', 'LOCALHOST', '127.0.0.1:80', '127.1.2.3', '[::1]:9151'])(
    'for the host %s is accepted',
    async (host) => {
      expect(await post({ host })).toMatch(/^HTTP\/1.1 200 /);
      expect(await post({ host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' })).toMatch(/ 200 /);
      expect(searched).toEqual([2, 2]);
    },
  );

  it('receives 100 Continue when it expects it', async () => {
    expect(await post({ expect: '100-Continue' })).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
    expect(searched).toEqual([2]);
  });

  it('is checked against every header: none is dropped after two thousand others', async () => {
    const others = 'a:\r\n'.repeat(2500);
    const lines = `${others}host: evil.example\r\ncontent-type: application/json\r\nconnection: close\r\n`;
    expect(
      await answerOf(`POST /v1/identify HTTP/1.1\r\nhost: localhost\r\n${lines}content-length: 2\r\n\r\n{}`),
    ).toMatch(/^HTTP\/1.1 4/);
    expect(searched).toEqual([]);
  });

  it.each(['application/json', 'Application/JSON; charset=UTF-8', 'application/json;charset="utf-8"'])(
    'in %s is accepted',
    async (type) => expect(await post({ 'content-type': type })).toMatch(/^HTTP\/1.1 200 /),
  );
});

describe('other requests', () => {
  it('are accepted for any host: orchestrators use addresses', async () => {
    for (const path of ['livez', 'readyz', 'metrics'])
      expect(await answerOf(`GET /${path} HTTP/1.1\r\nhost: 10.1.2.3:9151\r\nconnection: close\r\n\r\n`)).toMatch(
        / 200 /,
      );
  });

  it.each([
    ['GET /nowhere', 404, 'PATH_UNKNOWN'],
    ['POST /nowhere', 404, 'PATH_UNKNOWN'],
    ['POST http://evil.example/v1/identify', 404, 'PATH_UNKNOWN'],
    ['POST /livez', 405, 'METHOD_NOT_ALLOWED'],
    ['GET /v1/identify', 405, 'METHOD_NOT_ALLOWED'],
    ['CONNECT example:443', 405, 'METHOD_NOT_ALLOWED'],
  ])('%s is refused and counted', async (line, status, reason) => {
    const answer = await answerOf(`${line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(refusals).toEqual([reason]);
  });

  it('that are too large are refused before they have arrived, and the connection stays open', async () => {
    const socket = await open(`${HEAD}content-length: 1000001\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1.1 413 /);
    socket.write(`${'x'.repeat(1_000_001)}GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    const [next] = (await once(socket, 'data')) as [Buffer];
    expect(next.toString()).toMatch(/^HTTP\/1.1 200 /);
    socket.destroy();
    expect(refusals).toEqual(['BODY_TOO_LARGE']);
  });
});

describe('a body that is too large', () => {
  /** Sends a body as fast as the server reads it. Returns the answer and how the connection ended. */
  async function upload(bytes: number): Promise<{ answer: string; failed: string | undefined; sent: number }> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    let [answer, sent] = ['', 0];
    let failed: string | undefined;
    socket.on('data', (part: Buffer) => (answer += part.toString()));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => (failed = code));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(`${HEAD}connection: close\r\ncontent-length: ${bytes}\r\n\r\n`);
    const part = Buffer.alloc(65_536, ' ');
    while (sent < bytes && !socket.destroyed) {
      const now = part.subarray(0, Math.min(part.length, bytes - sent));
      await new Promise((resolve) => socket.write(now, resolve));
      sent += now.length;
    }
    await closed;
    return { answer, failed, sent };
  }

  it('is refused, and its caller can read the answer', async () => {
    await server.stop();
    await start({ maxBodyBytes: 10_000_000 });
    const { answer, failed, sent } = await upload(35_000_000);
    expect(answer).toMatch(/^HTTP\/1.1 413 [^]*BODY_TOO_LARGE/);
    expect([failed, sent]).toEqual([undefined, 35_000_000]);
    expect(refusals).toEqual(['BODY_TOO_LARGE']);
  });

  it('is not read beyond a limit', async () => {
    const { sent } = await upload(100_000_000);
    expect(sent).toBeLessThan(50_000_000);
    expect(refusals).toEqual(['BODY_TOO_LARGE']);
    await expect.poll(() => server.connectionCount).toBe(0);
  });

  it('that never arrives ends the connection', async () => {
    await server.stop();
    await start({ requestMs: 100 });
    expect(await answerOf(`${HEAD}content-length: 1000001\r\n\r\n`)).toMatch(/^HTTP\/1.1 413 /);
    expect(refusals).toEqual(['BODY_TOO_LARGE']);
  });
});

it.each([1, 4096, 4097, 65_537, 999_999])('a body of %i bytes reaches the handler unchanged', async (bytes) => {
  const body = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 7) % 251));
  const headers = { 'content-type': 'application/json', connection: 'close' };
  const response = await fetch(`http://127.0.0.1:${port}/v1/identify`, { method: 'POST', headers, body });
  expect(response.status).toBe(200);
  expect(bodies.map((one) => Buffer.from(one).equals(body))).toEqual([true]);
  await expect.poll(() => server.bytesHeld).toBe(0);
});

it('survives any bytes, and holds none of them afterwards', async () => {
  const begin = fc.constantFrom(
    '',
    'GET / HTTP/1.1\r\n',
    HEAD,
    `${HEAD}content-length: 5\r\n\r\n`,
    `${HEAD}transfer-encoding: chunked\r\n\r\n`,
  );
  await fc.assert(
    fc.asyncProperty(begin, fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (text, bytes, isRude) => {
      const socket = await open(text);
      socket.resume();
      await new Promise((written) => socket.write(bytes, written));
      if (isRude) socket.resetAndDestroy();
      else socket.end();
      if (!socket.closed) await once(socket, 'close');
    }),
    { numRuns: 200 },
  );
  await expect.poll(() => server.connectionCount).toBe(0);
  expect(server.bytesHeld).toBe(0);
  expect(await isAlive()).toBe(true);
});
