import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { join } from 'node:path';
import { readFileSync, writeFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { OPEN_CALLS, openUnary } from '../api/open-access.ts';
import {
  GetStatusResponse,
  Readiness,
  type OperationsServer,
} from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { hostAndPort, serviceAddress } from '../../src/cli/address.ts';
import { ServiceClient } from '../../src/cli/client.ts';
import { CallFailed } from '../../src/cli/failure-output.ts';
import type { ClientTlsSettings } from '../../src/security/client-credentials.ts';
import { Failure } from '../../src/failure.ts';
import type { ServerCertificates } from '../../src/security/server-certificates.ts';
import { createServerCredentials } from '../../src/security/server-credentials.ts';
import { createApiServer } from '../api/api-server.ts';
import { temporaryDirectory } from '../cluster.ts';
import { ridgewatch } from './command.ts';

const certificate = (name: string) => join(import.meta.dirname, '../security/certificates', name);
const close: (() => unknown)[] = [];
afterAll(() => Promise.all(close.map((end) => end())));

const READY = () => Promise.resolve(GetStatusResponse.create({ readiness: Readiness.READY }));

/** A service that answers GetStatus. @returns its port */
async function serve(credentials: ServerCertificates | undefined, answer = READY): Promise<number> {
  const getStatus = openUnary('Operations/GetStatus', OPEN_CALLS, answer);
  const { server } = createApiServer({ operations: { getStatus } as unknown as OperationsServer });
  close.push(() => server.stop(0));
  return server.listen('127.0.0.1', 0, credentials);
}

async function listen(server: NetServer): Promise<number> {
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)));
  close.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const tls = (files: { cert?: string; key?: string; clientCa?: string } = {}) =>
  createServerCredentials({
    grpcHost: '127.0.0.1',
    tlsCert: certificate(files.cert ?? 'server.pem'),
    tlsKey: certificate(files.key ?? 'server.key'),
    tlsClientCa: files.clientCa === undefined ? undefined : certificate(files.clientCa),
    allowPlaintext: false,
  });
const CA = { tlsCa: certificate('ca.pem') };
const own = (name: string) => ({ tlsCert: certificate(`${name}.pem`), tlsKey: certificate(`${name}.key`) });

async function ask(host: string, port: number, tlsFiles: Partial<ClientTlsSettings> = {}) {
  const files = { tlsCa: undefined, tlsCert: undefined, tlsKey: undefined, ...tlsFiles };
  const client = new ServiceClient({ address: `${host}:${port}`, timeoutSeconds: 20, token: undefined, ...files });
  try {
    await client.status();
    return { reason: 'OK', message: '' };
  } catch (error) {
    if (error instanceof CallFailed) return error.status;
    throw error;
  } finally {
    client.close();
  }
}

describe('a service that cannot be reached', () => {
  it('is distinguished from a reachable one', async () => {
    expect(await ask('127.0.0.1', await serve(undefined))).toMatchObject({ reason: 'OK' });
    expect(await ask('localhost', await serve(tls()), CA)).toMatchObject({ reason: 'OK' });
    const mutual = await serve(tls({ clientCa: 'ca.pem' }));
    expect(await ask('localhost', mutual, { ...CA, ...own('client') })).toMatchObject({ reason: 'OK' });
  });

  it.each<[string, string, string, () => Promise<number>, Partial<ClientTlsSettings>, string]>([
    ['TLS_REQUIRED', '--tls-ca', 'TLS, met without', () => serve(tls()), {}, '127.0.0.1'],
    ['TLS_REQUIRED', '--tls-ca', 'mutual TLS, met without', () => serve(tls({ clientCa: 'ca.pem' })), {}, '127.0.0.1'],
    ['TLS_NOT_SPOKEN', 'leave out --tls-ca', 'no TLS', () => serve(undefined), CA, 'localhost'],
    [
      'CERTIFICATE_UNTRUSTED',
      '--tls-ca',
      'another authority',
      () => serve(tls({ cert: 'other.pem', key: 'other.key' })),
      CA,
      'localhost',
    ],
    [
      'CERTIFICATE_NAME_WRONG',
      'elsewhere.example',
      'another name',
      () => serve(tls({ cert: 'other.pem', key: 'other.key' })),
      { tlsCa: certificate('other.pem') },
      'localhost',
    ],
    ['CERTIFICATE_NAME_WRONG', '127.0.0.1', 'another address', () => serve(tls()), CA, '127.0.0.2'],
    [
      'CERTIFICATE_EXPIRED',
      'clock',
      'an expired certificate',
      () => serve(tls({ cert: 'expired.pem', key: 'expired.key' })),
      { tlsCa: certificate('expired.pem') },
      'localhost',
    ],
    [
      'CLIENT_CERTIFICATE_REQUIRED',
      '--tls-cert',
      'mutual TLS',
      () => serve(tls({ clientCa: 'ca.pem' })),
      CA,
      'localhost',
    ],
    [
      'CLIENT_CERTIFICATE_REFUSED',
      'RIDGEWATCH_TLS_CLIENT_CA',
      'mutual TLS of another authority',
      () => serve(tls({ clientCa: 'ca.pem' })),
      { ...CA, ...own('other') },
      'localhost',
    ],
    [
      'NOT_A_SERVICE',
      'HTTP server',
      'HTTP',
      () => listen(createHttpServer((_, answer) => answer.end('no'))),
      {},
      '127.0.0.1',
    ],
    [
      'NOT_A_SERVICE',
      'HTTP server',
      'HTTP, met with TLS',
      () => listen(createHttpServer((_, answer) => answer.end('no'))),
      CA,
      'localhost',
    ],
    [
      'NOT_A_SERVICE',
      'does not speak gRPC',
      'another protocol',
      () => listen(createServer((socket) => socket.end('220 mail\r\n'))),
      {},
      '127.0.0.1',
    ],
    [
      'NOT_A_SERVICE',
      'does not speak gRPC',
      'TLS without HTTP/2',
      () =>
        listen(
          createTlsServer(
            { cert: readFileSync(certificate('server.pem')), key: readFileSync(certificate('server.key')) },
            (socket) => socket.end('220 mail\r\n'),
          ),
        ),
      CA,
      'localhost',
    ],
    ['SERVICE_UNREACHABLE', 'npm start', 'nothing', () => Promise.resolve(1), {}, '127.0.0.1'],
    ['SERVICE_UNREACHABLE', 'npm start', 'nothing, met with TLS', () => Promise.resolve(1), CA, 'localhost'],
    [
      'SERVICE_UNREACHABLE',
      'cannot be resolved',
      'a name that is none',
      () => Promise.resolve(1),
      {},
      'no-such-host.invalid',
    ],
  ])('%s, with what to do (%s): %s', async (reason, advice, _, start, args, host) => {
    // A service that listens on 127.0.0.1 only cannot be reached at 127.0.0.2.
    const isElsewhere = host === '127.0.0.2';
    const port = await start();
    const answer = isElsewhere ? await ask(host, await forwardTo(port), args) : await ask(host, port, args);
    expect(answer).toMatchObject({ code: 14, reason });
    expect(answer.message).toContain(advice);
    if (reason !== 'SERVICE_UNREACHABLE') expect(answer.message).not.toContain('npm start');
  });

  it.each([
    ['a key that cannot be read', { ...own('client'), tlsKey: '/no/such.key' }, '(--tls-key) cannot be read'],
    ['a key of another certificate', { ...own('client'), tlsKey: certificate('server.key') }, '--tls-key'],
    ['a folder', { ...own('client'), tlsCert: certificate('.') }, '(--tls-cert) cannot be read'],
    ['a file without an end', { tlsCa: '/dev/zero' }, '(--tls-ca) cannot be read'],
    ['a file without a certificate', { ...own('client'), tlsCert: certificate('README.md') }, 'holds no certificate'],
    ['a key without its certificate', { tlsKey: certificate('client.key') }, 'go together'],
    ['a certificate without an authority', { tlsCa: undefined, ...own('client') }, '--tls-ca'],
  ])('%s is named before anything is sent', async (_, files, sentence) => {
    const failure = await ask('127.0.0.1', 1, { ...CA, ...files }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'TLS_INVALID' });
    expect((failure as Error).message).toContain(sentence);
  });
});

/** The same port on another address of this machine. */
async function forwardTo(port: number): Promise<number> {
  const { connect } = await import('node:net');
  const server = createServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    socket.on('error', () => onward.destroy()).pipe(onward);
    onward.on('error', () => socket.destroy()).pipe(socket);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.2', () => listening(undefined)));
  close.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

it.each(['grpc_proxy', 'https_proxy', 'http_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'])(
  '%s does not decide where templates go',
  async (variable) => {
    let met = 0;
    const proxy = await listen(
      createServer((socket) =>
        socket
          .on('data', ({ length }) => (met += length))
          .on('error', () => undefined)
          .end(),
      ),
    );
    const port = await serve(undefined);
    const env = { [variable]: `http://127.0.0.1:${proxy}`, no_proxy: '', NO_PROXY: '' };
    const run = await ridgewatch(['status', '--address', `localhost:${port}`], { ...env, NODE_USE_ENV_PROXY: '1' });
    expect([run.code, met]).toEqual([0, 0]);
  },
);

it.each(['localhost', '127.0.0.1'])('prints a TLS fault at %s as a single JSON document', async (host) => {
  const port = await serve(tls({ cert: 'other.pem', key: 'other.key' }));
  const run = await ridgewatch(['status', '--address', `${host}:${port}`, '--tls-ca', CA.tlsCa, '--json']);
  expect([run.code, run.stdout]).toEqual([1, '']);
  expect(JSON.parse(run.stderr)).toMatchObject({ error: { reason: 'CERTIFICATE_UNTRUSTED' } });
});

it('ignores trust settings of the environment', async () => {
  const port = await serve(tls({ cert: 'other.pem', key: 'other.key' }));
  const roots = join(temporaryDirectory(), 'roots.pem');
  writeFileSync(roots, readFileSync(certificate('other.pem')));
  for (const env of [
    { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    { NODE_EXTRA_CA_CERTS: roots },
    { GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: roots },
    { SSL_CERT_FILE: roots, NODE_OPTIONS: '--use-openssl-ca' },
  ]) {
    const run = await ridgewatch(['status', '--address', `localhost:${port}`, '--tls-ca', CA.tlsCa], env);
    expect(run).toMatchObject({ code: 1 });
    expect(run.stderr).toContain('does not come from an authority');
  }
  const traced = await ridgewatch(['status', '--address', `localhost:${port}`, '--tls-ca', CA.tlsCa], {
    GRPC_TRACE: 'all',
    GRPC_VERBOSITY: 'DEBUG',
    NODE_DEBUG: 'tls,http2,net',
  });
  expect(traced.stderr.trim().split('\n')).toHaveLength(1);
});

describe('--address', () => {
  it.each([
    ['http://127.0.0.1:50151', 'must not begin with http://'],
    ['https://gate.example', 'must not begin with https://'],
    ['dns:///gate.example:50151', 'must not begin with dns://'],
    ['unix:/run/gate.sock', 'The port must be'],
    ['dns:gate.example:50151', 'neither a name nor an address'],
    ['gate.example', 'It has no port'],
    ['127.0.0.1', 'It has no port'],
    ['127.0.0.1:', 'The port must be 1 to 65535'],
    ['127.0.0.1:0', 'The port must be 1 to 65535'],
    ['127.0.0.1:65536', 'The port must be 1 to 65535'],
    ['127.0.0.1:5e4', 'The port must be 1 to 65535'],
    ['127.0.0.1: 50151', 'The port must be 1 to 65535'],
    ['::1', 'An IPv6 address goes in brackets'],
    ['fe80::1:50151', 'An IPv6 address goes in brackets'],
    ['[::1]', 'It has no port'],
    ['[gate]:50151', 'must be an IPv6 address'],
    ['user@gate:50151', 'neither a name nor an address'],
    ['gate/path:50151', 'neither a name nor an address'],
    [':50151', 'neither a name nor an address'],
    ['', 'neither a name nor an address'],
  ])('%j is refused: %s', (address, sentence) => {
    expect(() => serviceAddress(address)).toThrow(sentence);
  });

  it('accepts names, IPv4 and IPv6, and returns host and port', () => {
    expect(hostAndPort(serviceAddress('[::1]:50151'))).toEqual({ host: '::1', port: 50151 });
    expect(hostAndPort(serviceAddress('gate-1.example:1'))).toEqual({ host: 'gate-1.example', port: 1 });
    fc.assert(
      fc.property(fc.domain(), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(hostAndPort(serviceAddress(`${host}:${port}`))).toEqual({ host, port });
      }),
    );
  });

  it('rejects every other text with InvalidArgumentError', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          const { host, port } = hostAndPort(serviceAddress(text));
          expect(host.length * port).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'commander.invalidArgument' });
        }
      }),
    );
  });

  it('is named in the refusal, from the command line and from the environment', async () => {
    const given = await ridgewatch(['status', '--address', 'http://gate:1']);
    expect([given.code, given.stdout]).toEqual([2, '']);
    expect(given.stderr).toContain("'--address <host:port>'");
    const ambient = await ridgewatch(['status'], { RIDGEWATCH_ADDRESS: 'gate' });
    expect(ambient.code).toBe(2);
    expect(ambient.stderr).toContain('RIDGEWATCH_ADDRESS');
  });
});

it('recognises a service of another version that lacks the method', async () => {
  const lacks = () => Promise.reject(new Failure('unimplemented', 'CALL_UNSUPPORTED', 'There is no such method.'));
  const answer = await ask('127.0.0.1', await serve(undefined, lacks));
  expect(answer).toMatchObject({ code: 12, reason: 'NOT_A_SERVICE' });
  expect(answer.message).toContain('another version');
});

it('a call without an answer ends at its deadline with a message', async () => {
  const port = await listen(createServer((socket) => socket.on('error', () => undefined).resume()));
  const client = new ServiceClient({
    address: `127.0.0.1:${port}`,
    timeoutSeconds: 0.3,
    token: undefined,
    tlsCa: undefined,
    tlsCert: undefined,
    tlsKey: undefined,
  });
  await expect(client.status()).rejects.toMatchObject({ status: { reason: 'NO_ANSWER' } });
  client.close();
});
