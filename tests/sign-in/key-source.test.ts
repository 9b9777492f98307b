/** Where keys are read from, and from where they are not. */
import { createServer, setGlobalProxyFromEnv } from 'node:http';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { generateKeyPairSync } from 'node:crypto';
import { readKeys } from '../../src/sign-in/key-source.ts';
import { readProviderFile, type Provider } from '../../src/sign-in/provider-file.ts';
import { answering, LocalProvider } from './local-provider.ts';

let provider: LocalProvider;
let plain: ReturnType<typeof createServer>;
let plainRequests: string[];
let plainUrl: string;

beforeAll(async () => {
  provider = await LocalProvider.start();
  plain = createServer((request, response) => {
    plainRequests.push(request.url ?? '');
    response.end('{}');
  });
  plain.on('connect', (request, socket) => {
    plainRequests.push(request.url ?? '');
    socket.end();
  });
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  plainUrl = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
});
afterAll(async () => {
  plain.close();
  await provider.goAway();
});
beforeEach(() => {
  provider.instead.clear();
  provider.requests.length = 0;
  plainRequests = [];
});

const configured = (changes: Readonly<Record<string, unknown>> = {}): Provider =>
  readProviderFile(provider.file(changes)).providers[0];
const why = (changes: Readonly<Record<string, unknown>> = {}, withinMs?: number) =>
  readKeys(configured(changes), withinMs).then(
    () => 'read',
    (error: unknown) => (error as Error).message,
  );
const DISCOVERY = '/.well-known/openid-configuration';

describe('keys', () => {
  it('are those that the discovery document names, or a URL, or a file', async () => {
    const [expected] = provider.published;
    const { kid } = expected ?? {};
    expect((await readKeys(configured())).keys).toMatchObject([{ kid }]);
    expect(provider.requests).toEqual([DISCOVERY, '/keys']);
    provider.requests.length = 0;
    expect((await readKeys(configured({ jwks_uri: `${provider.issuer}/keys` }))).keys).toMatchObject([{ kid }]);
    expect(provider.requests).toEqual(['/keys']);
    writeFileSync(`${provider.folder}/keys.jwks`, JSON.stringify({ keys: provider.published }));
    expect((await readKeys(configured({ jwks_file: 'keys.jwks' }))).keys).toMatchObject([{ kid }]);
    expect(provider.requests).toEqual(['/keys']);
  });

  it('that are private or symmetric are left out', async () => {
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
    const secret = { kty: 'oct', kid: 'secret', k: 'c2VjcmV0' };
    provider.instead.set('/keys', answering({ keys: [{ ...jwk, kid: 'private' }, secret, ...provider.published] }));
    expect((await readKeys(configured())).keys).toEqual(provider.published);
    provider.instead.set('/keys', answering({ keys: [secret] }));
    expect(await why()).toBe('the document contains no public key');
  });
});

describe('a provider', () => {
  it.each([
    ['/keys', answering('{"keys":['), 'the answer is not JSON'],
    ['/keys', answering({ keys: 'none' }), 'the document is not a set of at most 100 keys'],
    ['/keys', answering({ keys: Array(101).fill({ kty: 'EC' }) }), 'the document is not a set of at most 100 keys'],
    ['/keys', answering({ keys: [], more: 'x'.repeat(262_144) }), 'the answer has more than 262144 bytes'],
    ['/keys', answering({}, 500), 'the answer has the status 500, not 200'],
    [DISCOVERY, answering({}), 'the discovery document names no issuer, or no keys'],
    [
      DISCOVERY,
      answering({ issuer: 'https://id.example', jwks_uri: 'https://id.example/keys' }),
      'the discovery document is of another issuer',
    ],
  ])('that answers %s with something else has no keys', async (path, answer, sentence) => {
    provider.instead.set(path, answer);
    expect(await why()).toBe(sentence);
  });

  it('leads to no other place: not by a redirection, and not by its discovery document', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      provider.instead.set('/keys', answering({}, status, { location: `${plainUrl}/keys` }));
      expect(await why()).toBe(`the answer has the status ${status}, not 200`);
    }
    for (const jwks_uri of [`${plainUrl}/keys`, 'https://id.example/keys', 'file:///etc/passwd', 'nothing']) {
      provider.instead.set(DISCOVERY, answering({ issuer: provider.issuer, jwks_uri }));
      expect(await why()).toBe('the keys are at another origin than the issuer: name them by jwks_uri');
    }
    expect(plainRequests).toEqual([]);
  });

  it('that never ends its answer is given up', async () => {
    provider.instead.set('/keys', (_, response) => {
      response.writeHead(200);
      response.write('{');
    });
    expect(await why({}, 300)).toMatch(/abort|time/i);
    provider.instead.set('/keys', () => undefined);
    expect(await why({}, 300)).toMatch(/abort|time/i);
  });

  it('whose certificate is of no known authority is not asked, whatever the environment says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    try {
      expect(await why({ ca_file: undefined })).toMatch(/certificate/);
      expect(provider.requests).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('is asked directly, whatever proxy the environment names', async () => {
    // As NODE_USE_ENV_PROXY does at the start of the process.
    const undo = setGlobalProxyFromEnv({ http_proxy: plainUrl, https_proxy: plainUrl });
    try {
      expect(await why()).toBe('read');
      expect(plainRequests).toEqual([]);
    } finally {
      undo();
    }
  });
});
