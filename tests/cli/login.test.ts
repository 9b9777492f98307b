/** Signing in from a terminal, over a provider's real endpoints, and calling a real service with the token. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AccessClient, ClientKind, Role } from '../../src/contract/generated/ridgewatch/v1/access.ts';
import { call, runService, type RunningService } from '../api/running-service.ts';
import { registeredClients } from '../api/registered-clients.ts';
import { startTestCluster, temporaryDirectory, type TestCluster } from '../cluster.ts';
import { answering, LocalProvider } from '../sign-in/local-provider.ts';
import { ridgewatch } from './command.ts';

let cluster: TestCluster;
let provider: LocalProvider;
let running: RunningService;
let folder: string;
/** Grants that the token endpoint was asked for. */
let grants: URLSearchParams[];
let lifetime: number;
/** Tokens that were revoked. */
let revoked: (string | null)[];
/** Answers of the token endpoint before the person has confirmed. */
let pending: object[];

const clients = registeredClients(() => running);

beforeAll(async () => {
  [cluster, provider] = await Promise.all([startTestCluster(), LocalProvider.start()]);
  running = await runService(await cluster.createDatabase(), { RIDGEWATCH_OIDC_FILE: provider.file() });
  const access = clients.clientOf(AccessClient, running.headers.authorization.replace('Bearer ', ''));
  await call(access, access.addClient.bind(access), {
    client: {
      clientId: 'jo',
      kind: ClientKind.PERSON,
      agency: 'agency',
      roles: [Role.OPERATOR],
      allGalleries: true,
      galleries: [],
      purposes: [],
      clearance: 0,
      callsPerSecond: 0,
      streams: 0,
      verificationsPerDay: 0,
    },
    credential: {
      how: { $case: 'oidc', value: { issuer: provider.issuer, subject: 'person-1' } },
      expireTime: undefined,
    },
  });
});
afterAll(async () => {
  clients.close();
  await running.stop();
  await Promise.all([cluster.stop(), provider.goAway()]);
});

beforeEach(() => {
  folder = temporaryDirectory();
  [grants, revoked, lifetime] = [[], [], 300];
  pending = [{ error: 'authorization_pending' }];
  const { issuer } = provider;
  const json = { 'content-type': 'application/json' };
  const reading = (work: (form: URLSearchParams) => Promise<object>): Parameters<typeof provider.instead.set>[1] => {
    return (request, response) => {
      let body = '';
      request.on('data', (part: Buffer) => (body += part.toString()));
      request.on('end', () => {
        void work(new URLSearchParams(body)).then((answer) => {
          response.writeHead('error' in answer ? 400 : 200, json).end(JSON.stringify(answer));
        });
      });
    };
  };
  provider.instead.set(
    '/.well-known/openid-configuration',
    answering(
      {
        issuer,
        jwks_uri: `${issuer}/keys`,
        token_endpoint: `${issuer}/token`,
        device_authorization_endpoint: `${issuer}/device`,
        revocation_endpoint: `${issuer}/revoke`,
      },
      200,
      json,
    ),
  );
  provider.instead.set(
    '/device',
    answering(
      { device_code: 'device', user_code: 'ABCD-EFGH', verification_uri: `${issuer}/go`, expires_in: 60, interval: 1 },
      200,
      json,
    ),
  );
  provider.instead.set(
    '/token',
    reading(async (form) => {
      grants.push(form);
      const refused = pending.shift();
      if (refused !== undefined) return refused;
      const exp = Math.floor(Date.now() / 1000) + lifetime;
      const access_token = await provider.sign({ exp });
      return { access_token, token_type: 'bearer', expires_in: lifetime, refresh_token: `refresh-${grants.length}` };
    }),
  );
  provider.instead.set(
    '/revoke',
    reading((form) => {
      revoked.push(form.get('token'));
      return Promise.resolve({});
    }),
  );
});

const at = () => ['--issuer', provider.issuer, '--sign-in-folder', folder];
const login = () => ridgewatch(['login', ...at(), '--client-id', 'ridgewatch', '--ca', provider.caFile]);
const status = () =>
  ridgewatch([
    ...['status', '--address', `127.0.0.1:${running.service.grpcPort}`, '--json'],
    ...['--oidc', provider.issuer, '--sign-in-folder', folder],
  ]);

describe('a person at a terminal', () => {
  it('signs in by a code, calls with the token, and signs out at the provider too', async () => {
    const signedIn = await login();
    expect(signedIn).toMatchObject({ code: 0 });
    expect(signedIn.stderr).toContain(`${provider.issuer}/go and compare or enter the code ABCD-EFGH`);
    expect(grants.map((form) => form.get('grant_type'))).toEqual([
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:ietf:params:oauth:grant-type:device_code',
    ]);
    const file = fileIn(folder);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(signedIn.stdout + signedIn.stderr).not.toContain(tokenIn(file));
    expect(await status()).toMatchObject({ code: 0 });
    expect(await ridgewatch(['logout', ...at()])).toMatchObject({ code: 0 });
    expect(revoked).toEqual(['refresh-2']);
    const after = await status();
    expect([after.code, JSON.parse(after.stderr)]).toMatchObject([2, { error: { reason: 'SIGN_IN_MISSING' } }]);
  });

  it('has a token that ends renewed before the call, once by commands at the same time', async () => {
    lifetime = 20;
    await login();
    const before = tokenIn(fileIn(folder));
    lifetime = 300;
    const outcomes = await Promise.all([status(), status()]);
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(grants.filter((form) => form.get('grant_type') === 'refresh_token').length).toBe(1);
    expect(tokenIn(fileIn(folder))).not.toBe(before);
  });

  it('is told why no sign-in came about, and nothing is kept', async () => {
    pending = [{ error: 'access_denied', error_description: '\u001b[2Jcleared' }];
    const denied = await login();
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain('did not sign in: it answered access_denied.');
    expect(denied.stderr).not.toContain('cleared');
    provider.instead.set(
      '/device',
      answering(
        { device_code: 'x', user_code: '\u001b[2J', verification_uri: `${provider.issuer}/go`, expires_in: 60 },
        200,
        { 'content-type': 'application/json' },
      ),
    );
    const odd = await login();
    expect([odd.code, odd.stderr.includes('\u001b')]).toEqual([1, false]);
    expect((await status()).code).toBe(2);
  });

  it('does not send the token to another machine without TLS, and calls with no damaged sign-in', async () => {
    await login();
    const elsewhere = await ridgewatch([
      ...['status', '--address', 'matcher.example:50151', '--json'],
      ...['--oidc', provider.issuer, '--sign-in-folder', folder],
    ]);
    expect(JSON.parse(elsewhere.stderr)).toMatchObject({ error: { reason: 'TOKEN_NEEDS_TLS' } });
    writeFileSync(fileIn(folder), '{"issuer":');
    expect((await status()).code).toBe(2);
  });
});

function fileIn(directory: string): string {
  return `${directory}/${readdirSync(directory).find((name) => name.endsWith('.json')) ?? ''}`;
}

function tokenIn(file: string): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { token: string }).token;
}
