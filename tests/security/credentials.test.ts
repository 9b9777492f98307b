import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { OperationsClient, type GetStatusResponse } from '../../src/contract/generated/ridgewatch/v1/operations.ts';
import { createClientCredentials } from '../../src/security/client-credentials.ts';
import { createApiServer } from '../api/api-server.ts';
import { createServerCredentials, httpCredentials, isLoopback } from '../../src/security/server-credentials.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';

const file = (name: string) => join(import.meta.dirname, 'certificates', name);
const PLAIN = {
  grpcHost: '127.0.0.1',
  tlsCert: undefined,
  tlsKey: undefined,
  tlsClientCa: undefined,
  allowPlaintext: false,
};
const TLS = { ...PLAIN, tlsCert: file('server.pem'), tlsKey: file('server.key') };

describe('the credentials of the server', () => {
  it.each([
    ['no TLS on a public address', { ...PLAIN, grpcHost: '0.0.0.0' }, 'PLAINTEXT_REFUSED'],
    ['a certificate without a key', { ...TLS, tlsKey: undefined }, 'TLS_INVALID'],
    ['an authority without a certificate', { ...PLAIN, tlsClientCa: file('ca.pem') }, 'TLS_INVALID'],
    ['a revocation list without an authority', { ...TLS, tlsClientCrl: file('ca.pem') }, 'TLS_INVALID'],
    ['a missing file', { ...TLS, tlsCert: file('nowhere.pem') }, 'TLS_INVALID'],
    ['a key of another certificate', { ...TLS, tlsKey: file('client.key') }, 'TLS_INVALID'],
  ])('refuse %s', (_, settings, reason) => {
    expect(() => createServerCredentials(settings)).toThrow(expect.objectContaining({ reason }) as Error);
  });

  it('allow plaintext on loopback addresses, and elsewhere only when configured', () => {
    expect(createServerCredentials(PLAIN)).toBeUndefined();
    expect(createServerCredentials({ ...PLAIN, grpcHost: '0.0.0.0', allowPlaintext: true })).toBeUndefined();
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost', '10.0.0.1', '0.0.0.0', 'host'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});

describe('mutual TLS', () => {
  async function ask(client: Parameters<typeof createClientCredentials>[0]): Promise<GetStatusResponse> {
    const { server } = createApiServer();
    const port = await server.listen('127.0.0.1', 0, createServerCredentials({ ...TLS, tlsClientCa: file('ca.pem') }));
    const operations = new OperationsClient(`localhost:${port}`, createClientCredentials(client), DIRECT_CHANNEL);
    try {
      return await new Promise((resolve, reject) =>
        operations.getStatus({}, (error, response) => (error ? reject(error) : resolve(response))),
      );
    } finally {
      operations.close();
      await server.stop(0);
    }
  }

  it('serves a client with a certificate of the authority, and no other', async () => {
    const known = { tlsCa: file('ca.pem'), tlsCert: file('client.pem'), tlsKey: file('client.key') };
    expect((await ask(known)).detail).toBe('served');
    await expect(ask({ ...known, tlsCert: undefined, tlsKey: undefined })).rejects.toMatchObject({ code: 14 });
  });

  it('refuses renegotiation with TLS 1.2', async () => {
    const { server } = createApiServer();
    const port = await server.listen('127.0.0.1', 0, createServerCredentials(TLS));
    const options = { port, host: '127.0.0.1', servername: 'localhost', ALPNProtocols: ['h2'] };
    const socket = connect({ ...options, ca: readFileSync(file('ca.pem')), maxVersion: 'TLSv1.2' });
    const failed = new Promise<unknown>((resolve) => {
      socket.on('error', resolve);
      socket.once('secureConnect', () => socket.renegotiate({}, resolve));
    });
    expect(await failed).toMatchObject({ code: expect.stringContaining('NO_RENEGOTIATION') as string });
    socket.destroy();
    await server.stop(0);
  });

  it('needs readable files, a certificate and key together, and an authority', () => {
    expect(() => createClientCredentials({ tlsCa: file('nowhere'), tlsCert: undefined, tlsKey: undefined })).toThrow(
      'cannot be read',
    );
    expect(() =>
      createClientCredentials({ tlsCa: file('ca.pem'), tlsCert: file('client.pem'), tlsKey: undefined }),
    ).toThrow('go together');
    expect(() =>
      createClientCredentials({ tlsCa: undefined, tlsCert: file('client.pem'), tlsKey: file('client.key') }),
    ).toThrow('authority');
  });
});

describe('the HTTP port', () => {
  const credentials = createServerCredentials(TLS);
  const settings = { httpIdentify: false, httpTls: 'auto', httpHost: '127.0.0.1', allowPlaintext: false } as const;
  const refused = expect.objectContaining({ reason: 'PLAINTEXT_REFUSED' }) as Error;

  it('uses TLS where gRPC does, unless it is off', () => {
    expect(httpCredentials(settings, credentials)).toBe(credentials);
    expect(httpCredentials({ ...settings, httpHost: '0.0.0.0', httpIdentify: true }, credentials)).toBe(credentials);
    expect(httpCredentials({ ...settings, httpTls: 'off' }, credentials)).toBeUndefined();
    expect(httpCredentials(settings, undefined)).toBeUndefined();
  });

  it('is without TLS on loopback, or where plaintext is allowed, and never answers searches so elsewhere', () => {
    for (const httpHost of ['127.0.0.1', '127.8.0.1', '::1', 'localhost'])
      expect(httpCredentials({ ...settings, httpHost, httpIdentify: true }, undefined)).toBeUndefined();
    for (const httpHost of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example']) {
      expect(() => httpCredentials({ ...settings, httpHost }, undefined)).toThrow(refused);
      expect(() => httpCredentials({ ...settings, httpHost, httpTls: 'off' }, credentials)).toThrow(refused);
      const open = { ...settings, httpHost, allowPlaintext: true };
      expect(httpCredentials(open, undefined)).toBeUndefined();
      expect(() => httpCredentials({ ...open, httpIdentify: true }, undefined)).toThrow(refused);
    }
  });
});
