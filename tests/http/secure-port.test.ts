/** HTTP over TLS: who is let in and what a route learns of a client; over real sockets. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { request, type RequestOptions } from 'node:https';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { json } from '../../src/http/answers.ts';
import type { HttpLimits } from '../../src/http/http-limits.ts';
import { HttpServer } from '../../src/http/http-server.ts';
import type { RefusedPeer } from '../../src/security/tls-terminator.ts';
import { CA, pem, TLS } from './secure-port.ts';

const OWN = { cert: pem('client.pem'), key: pem('client.key') };
let server: HttpServer;
let port: number;
let refusals: string[];
let peers: RefusedPeer[];
const ends: (() => void)[] = [];

async function start(limits: Partial<HttpLimits> = {}): Promise<void> {
  const [said, told]: [string[], RefusedPeer[]] = [[], []];
  [refusals, peers] = [said, told];
  server = new HttpServer(
    {
      pages: new Map([['/page', ({ certificate }) => json(200, { name: certificate?.commonName ?? null })]]),
      json: new Map([
        [
          '/search',
          ({ certificate }) => ({
            answer: ({ body }) =>
              Promise.resolve(json(200, { name: certificate?.commonName ?? null, bytes: body.length })),
            leave: () => undefined,
          }),
        ],
      ]),
    },
    ({ reason }) => void said.push(reason),
    limits,
    { ...TLS, handshakeRefused: (peer) => void told.push(peer) },
  );
  port = await server.start('127.0.0.1', 0);
}
afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await server.stop();
  await expect.poll(() => server.connectionCount).toBe(0);
});

function fetch(path: string, options: RequestOptions = {}, body?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: '127.0.0.1', path, ca: CA, servername: 'localhost', agent: false, ...options },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

async function openPlain(text = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  ends.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.resume().write(text);
  return socket;
}

const ended = (socket: Socket) =>
  new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));

describe('a page', () => {
  it('is shown with and without a certificate, which the page learns of', async () => {
    await start();
    expect(await fetch('/page')).toEqual({ status: 200, text: '{"name":null}\n' });
    expect(await fetch('/page', OWN)).toEqual({ status: 200, text: '{"name":"client"}\n' });
    expect(refusals).toEqual([]);
  });

  it('is not shown to a client with a certificate of another authority, which is told of', async () => {
    await start();
    const stranger = { cert: pem('stranger.pem'), key: pem('stranger.key') };
    await expect(fetch('/page', stranger)).rejects.toThrow();
    await expect
      .poll(() => peers)
      .toMatchObject([
        {
          reason: 'TLS_CERTIFICATE_REFUSED',
          address: '127.0.0.1',
          certificate: { commonName: 'stranger' },
          wasAccepted: false,
        },
      ]);
    expect(refusals).toEqual(['TLS_CERTIFICATE_REFUSED']);
  });
});

describe('a search', () => {
  const search = (headers: Record<string, string>, options: RequestOptions = OWN) =>
    fetch('/search', { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, ...options }, '{}');

  it('is answered under any name of the service, and learns of the certificate', async () => {
    await start();
    expect(await search({ host: 'matcher.example' })).toEqual({ status: 200, text: '{"name":"client","bytes":2}\n' });
    expect(await search({}, {})).toEqual({ status: 200, text: '{"name":null,"bytes":2}\n' });
  });

  it('is not answered for a web page of another origin', async () => {
    await start();
    const host = 'matcher.example';
    for (const origin of ['https://evil.example', 'http://matcher.example', 'null'])
      expect([origin, (await search({ host, origin })).status]).toEqual([origin, 403]);
    expect((await search({ host, origin: 'https://matcher.example' })).status).toBe(200);
  });
});

describe('a connection', () => {
  it.each([
    ['speaks HTTP without TLS', 'GET /page HTTP/1.1\r\nhost: x\r\n\r\n', 'TLS_EXPECTED'],
    ['sends nothing', '', 'HANDSHAKE_TIMEOUT'],
    ['stops in the handshake', '\x16\x03\x01\x02\x00\x01', 'HANDSHAKE_TIMEOUT'],
  ])('that %s is ended in time', async (_, bytes, reason) => {
    await start({ headersMs: 200 });
    await ended(await openPlain(bytes));
    expect(refusals).toEqual([reason]);
    expect(peers).toMatchObject([{ reason, address: '127.0.0.1', certificate: undefined }]);
  });

  it('that completes the handshake and sends nothing, or half a head, is ended in time', async () => {
    await start({ headersMs: 200 });
    for (const text of ['', 'GET /page HTTP/1.1\r\nho']) {
      const options: ConnectionOptions = { port, host: '127.0.0.1', servername: 'localhost', ca: CA };
      const socket = connectTls(options, () => socket.write(text));
      socket.on('error', () => undefined).resume();
      await ended(socket);
    }
    expect(await fetch('/page')).toMatchObject({ status: 200 });
  });

  it('for HTTP/2 only is refused', async () => {
    await start();
    const options = { port, host: '127.0.0.1', servername: 'localhost', ca: CA, ALPNProtocols: ['h2'] };
    const socket = connectTls(options).on('error', () => undefined);
    await ended(socket);
    expect(refusals).toEqual(['HTTP_MALFORMED']);
  });

  it('in a handshake gives way to others when all places are taken', async () => {
    await start({ maxConnections: 4 });
    const idle = await Promise.all(Array.from({ length: 4 }, () => openPlain('\x16')));
    await expect.poll(() => server.connectionCount).toBe(4);
    expect(await fetch('/page')).toMatchObject({ status: 200 });
    await Promise.race(idle.map(ended));
    expect(refusals).toContain('CONNECTION_EVICTED');
  });
});
