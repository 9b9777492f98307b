/**
 * Callers that send the next request before the previous answer, or do not read their answers; over raw sockets, without
 * and with TLS.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { json } from '../../src/http/answers.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import { CA, TLS } from './secure-port.ts';

/** More than the socket buffers of both ends hold. */
const LARGE = 'x'.repeat(40_000_000);

let server: HttpServer;
let port: number;
let refusals: string[];
let shown: number;
let answer: PromiseWithResolvers<void>;

describe.each([
  ['without TLS', undefined],
  ['with TLS', TLS],
])('%s', (_, tls) => {
  beforeEach(async () => {
    const said: string[] = [];
    [refusals, shown, answer] = [said, 0, Promise.withResolvers<void>()];
    const pages = new Map([
      ['/page', () => json(200, { page: ++shown })],
      ['/large', () => ({ status: 200, contentType: 'text/plain', body: LARGE })],
    ]);
    const slow = async () => {
      await answer.promise;
      return json(200, { found: true });
    };
    server = new HttpServer(
      { pages, json: new Map([['/slow', () => ({ answer: slow, leave: () => undefined })]]) },
      ({ reason }) => void said.push(reason),
      {
        maxBytesHeld: 100_000_000,
      },
      tls,
    );
    port = await server.start('127.0.0.1', 0);
  });
  afterEach(() => server.stop());

  async function open(text: string): Promise<Socket> {
    const address = { port, host: '127.0.0.1' };
    const socket = tls === undefined ? connect(address) : connectTls({ ...address, servername: 'localhost', ca: CA });
    socket.on('error', () => undefined);
    await once(socket, tls === undefined ? 'connect' : 'secureConnect');
    socket.write(text);
    return socket;
  }

  /** Everything received until the connection ends. */
  async function readAll(socket: Socket): Promise<string> {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => (text += part));
    if (!socket.closed) await once(socket, 'close');
    return text;
  }

  const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
  const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  const SLOW =
    'POST /slow HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';

  describe('pipelined requests', () => {
    it.each([
      ['pages', '/page', 200, []],
      ['unknown paths', '/x', 404, ['PATH_UNKNOWN']],
    ])('for %s: the first is answered, the second refused, and the rest ignored', async (_, path, status, counted) => {
      const text = await readAll(await open(get(path).repeat(20_000)));
      expect(statuses(text)).toEqual([status, 400]);
      expect(text).toMatch(/connection: close[^]*HTTP_PIPELINED/i);
      expect(refusals.toSorted()).toEqual(['HTTP_PIPELINED', ...counted]);
      expect(shown).toBeLessThanOrEqual(1);
      await expect.poll(() => server.connectionCount).toBe(0);
    });

    it('do not affect the search before them', async () => {
      const socket = await open(SLOW + get('/page'));
      await expect.poll(() => refusals).toEqual(['HTTP_PIPELINED']);
      socket.write(get('/page').repeat(50_000));
      answer.resolve();
      const text = await readAll(socket);
      expect(statuses(text)).toEqual([200, 400]);
      expect(text).toContain('"found":true');
      expect([refusals, shown]).toEqual([['HTTP_PIPELINED'], 0]);
    });

    it('are not confused with sequential requests, whose connection stays open', async () => {
      const socket = await open('');
      answer.resolve();
      for (let i = 0; i < 50; i++) {
        socket.write(i % 2 === 0 ? SLOW : get('/page'));
        expect(statuses(String(await once(socket, 'data')))).toEqual([200]);
      }
      socket.destroy();
      expect(refusals).toEqual([]);
    });
  });

  it('unread answers are bounded in memory, and small answers are still sent', async () => {
    const sockets = await Promise.all(Array.from({ length: 2 }, () => open('')));
    for (const socket of sockets) socket.pause().write(get('/large'));
    await expect.poll(() => server.bytesHeld).toBe(80_000_000);
    const third = await readAll(await open(get('/large').replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')));
    expect(third).toMatch(/^HTTP\/1\.1 503 [^]*TOO_MANY_ANSWERS/);
    expect(
      statuses(await readAll(await open(get('/page').replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')))),
    ).toEqual([200]);
    expect(refusals).toEqual(['TOO_MANY_ANSWERS']);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => server.bytesHeld).toBe(0);
  });
});
