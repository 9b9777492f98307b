/** Which tokens of a provider are taken, and for what. */
import { createHmac, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256, type SignIn } from '../../src/access/sign-in.ts';
import type { Failure } from '../../src/failure.ts';
import { IdentityProviders } from '../../src/sign-in/identity-providers.ts';
import { AUDIENCE, LocalProvider, signingKey } from './local-provider.ts';

let provider: LocalProvider;
let providers: IdentityProviders;

beforeAll(async () => {
  provider = await LocalProvider.start();
  providers = providersOf();
});
afterAll(() => provider.goAway());

function providersOf(changes: Readonly<Record<string, unknown>> = {}, name?: string): IdentityProviders {
  return new IdentityProviders(provider.file(changes, name), { keysRead: () => undefined });
}

/** What was signed in, or the reason of the refusal. */
async function outcome(token: string, by = providers): Promise<SignIn | string> {
  try {
    return await by.verify(token);
  } catch (error) {
    const { kind, reason, message } = error as Failure;
    // A sentence is logged: nothing of the token may be in it.
    for (const part of [...token.split('.'), 'person-1'].filter(({ length }) => length > 7))
      expect(message).not.toContain(part);
    expect(kind).toBe(reason === 'SIGN_IN_KEYS_UNAVAILABLE' ? 'unavailable' : 'unauthenticated');
    return reason;
  }
}

const now = () => Math.floor(Date.now() / 1000);
const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a token', () => {
  it('of the provider says who signed in, and until when', async () => {
    const exp = now() + 300;
    expect(await outcome(await provider.sign({ exp, jti: 'the-id' }))).toEqual({
      issuer: provider.issuer,
      subject: 'person-1',
      agency: 'agency',
      endTime: new Date(exp * 1000),
      secondFactor: 'not-required',
      tokenId: sha256('the-id'),
    });
  });

  it.each(['ES384', 'ES512', 'PS256', 'RS256', 'EdDSA'])('may be signed by %s', async (alg) => {
    const key = await signingKey(alg);
    const other = await LocalProvider.start();
    other.published = [key.publicJwk];
    other.key = key;
    const by = new IdentityProviders(other.file(), { keysRead: () => undefined });
    expect(await outcome(await other.sign(), by)).toMatchObject({ subject: 'person-1' });
    await other.goAway();
  });

  it.each([
    ['expired', { exp: now() - 1 }, 'SIGN_IN_EXPIRED'],
    ['older than the provider may sign in for', { iat: now() - 3700, exp: now() + 300 }, 'SIGN_IN_EXPIRED'],
    ['without an end', { exp: undefined }, 'SIGN_IN_CLAIMS_INVALID'],
    ['without a time of issue', { iat: undefined }, 'SIGN_IN_CLAIMS_INVALID'],
    ['without a person', { sub: undefined }, 'SIGN_IN_CLAIMS_INVALID'],
    ['with a person of another type', { sub: 7 }, 'SIGN_IN_CLAIMS_INVALID'],
    ['with a person of too many characters', { sub: 'x'.repeat(256) }, 'SIGN_IN_CLAIMS_INVALID'],
    ['not valid yet', { nbf: now() + 120 }, 'SIGN_IN_NOT_YET_VALID'],
    ['issued later', { iat: now() + 120 }, 'SIGN_IN_NOT_YET_VALID'],
    ['for another service', { aud: 'another' }, 'SIGN_IN_AUDIENCE_WRONG'],
    ['for no service', { aud: undefined }, 'SIGN_IN_AUDIENCE_WRONG'],
    ['issued to another program', { aud: [AUDIENCE, 'another'], azp: 'another' }, 'SIGN_IN_AUDIENCE_WRONG'],
    ['issued to another program (RFC 9068)', { client_id: 'another' }, 'SIGN_IN_AUDIENCE_WRONG'],
    ['of another provider', { iss: 'https://id.example' }, 'SIGN_IN_ISSUER_UNKNOWN'],
    ['of a provider with a slash more', { iss: 'SLASH' }, 'SIGN_IN_ISSUER_UNKNOWN'],
    ['without a provider', { iss: undefined }, 'SIGN_IN_UNREADABLE'],
    ['bound to a key', { cnf: { jkt: 'x' } }, 'SIGN_IN_CLAIMS_INVALID'],
    [
      'that tells of a sign-out',
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      'SIGN_IN_CLAIMS_INVALID',
    ],
  ])('%s is refused', async (_, claims, reason) => {
    const given = 'iss' in claims && claims.iss === 'SLASH' ? { iss: `${provider.issuer}/` } : claims;
    expect(await outcome(await provider.sign(given))).toBe(reason);
  });

  it('of another type is refused', async () => {
    expect(await outcome(await provider.sign({}, { typ: 'logout+jwt' }))).toBe('SIGN_IN_CLAIMS_INVALID');
    for (const typ of ['at+jwt', 'application/at+jwt', undefined])
      expect(await outcome(await provider.sign({}, { typ }))).toMatchObject({ subject: 'person-1' });
  });

  it('of a clock that is half a minute ahead is taken, and its end counts exactly', async () => {
    const ahead = { iat: now() + 20, nbf: now() + 20 };
    expect(await outcome(await provider.sign(ahead))).toMatchObject({ subject: 'person-1' });
    const exp = now() + 60;
    const token = await provider.sign({ exp });
    for (const [at, taken] of [
      [exp * 1000 - 1, true],
      [exp * 1000, false],
    ] as const) {
      const by = new IdentityProviders(provider.file(), { keysRead: () => undefined, now: () => at });
      expect(typeof (await outcome(token, by))).toBe(taken ? 'object' : 'string');
    }
  });

  it('ends by the age that the provider may sign in for, when it would last longer', async () => {
    const iat = now() - 10;
    const by = providersOf({ max_age_seconds: 60 }, 'short.json');
    const signedIn = await outcome(await provider.sign({ iat, exp: iat + 86_400 }), by);
    expect(signedIn).toMatchObject({ endTime: new Date((iat + 60) * 1000) });
    expect(await outcome(await provider.sign({ iat: iat - 60, exp: iat + 86_400 }), by)).toBe('SIGN_IN_EXPIRED');
  });

  it('shows a second factor by a value that the provider is asked for, and by no other', async () => {
    const by = providersOf({ second_factor: { acr: ['urn:mfa'], amr: ['hwk', 'otp'] } }, 'mfa.json');
    for (const [claims, secondFactor] of [
      [{ acr: 'urn:mfa' }, 'shown'],
      [{ amr: ['pwd', 'otp'] }, 'shown'],
      [{ acr: 'urn:pwd', amr: ['pwd'] }, 'missing'],
      [{ acr: 'hwk' }, 'missing'],
      [{}, 'missing'],
    ] as const)
      expect(await outcome(await provider.sign(claims), by)).toMatchObject({ secondFactor });
    expect(await outcome(await provider.sign({ amr: 'otp' }), by)).toBe('SIGN_IN_CLAIMS_INVALID');
  });
});

describe('a forged token', () => {
  it('without a signature is refused', async () => {
    const [, payload = ''] = (await provider.sign()).split('.');
    for (const alg of ['none', 'None', 'NONE'])
      for (const signature of ['', 'AA'])
        expect(await outcome(`${base64({ alg, kid: provider.key.kid })}.${payload}.${signature}`)).toBe(
          'SIGN_IN_UNREADABLE',
        );
  });

  it.each(['HS256', 'HS384', 'HS512'])('signed by %s with the public key as the secret is refused', async (alg) => {
    const [, payload = ''] = (await provider.sign()).split('.');
    const publicKey = createPublicKey({ key: provider.key.publicJwk, format: 'jwk' });
    const secrets = [
      publicKey.export({ type: 'spki', format: 'pem' }),
      publicKey.export({ type: 'spki', format: 'der' }),
      JSON.stringify(provider.key.publicJwk),
    ];
    const content = `${base64({ alg, kid: provider.key.kid, typ: 'JWT' })}.${payload}`;
    for (const secret of secrets) {
      const signature = createHmac(`sha${alg.slice(2)}`, secret)
        .update(content)
        .digest('base64url');
      expect(await outcome(`${content}.${signature}`)).toBe('SIGN_IN_UNREADABLE');
    }
  });

  it('signed by a secret that the provider publishes by mistake is refused', async () => {
    const secret = Buffer.alloc(32, 7);
    const other = await LocalProvider.start();
    other.published.push({ kty: 'oct', kid: 'shared', alg: 'HS256', k: secret.toString('base64url') });
    const by = new IdentityProviders(other.file(), { keysRead: () => undefined });
    const [, payload = ''] = (await other.sign()).split('.');
    const content = `${base64({ alg: 'HS256', kid: 'shared' })}.${payload}`;
    const signature = createHmac('sha256', secret).update(content).digest('base64url');
    expect(await outcome(`${content}.${signature}`, by)).toBe('SIGN_IN_UNREADABLE');
    expect(await outcome(await other.sign(), by)).toMatchObject({ subject: 'person-1' });
    await other.goAway();
  });

  it('by a key of its own, under the name of a known one or brought along, is refused', async () => {
    const foreign = await signingKey();
    const header = { kid: provider.key.kid, jwk: foreign.publicJwk, jku: 'https://attacker.example/keys' };
    expect(await outcome(await provider.sign({}, header, foreign))).toBe('SIGN_IN_FORGED');
    expect(await outcome(await provider.sign({}, { jwk: foreign.publicJwk }, foreign))).toBe('SIGN_IN_KEY_UNKNOWN');
  });

  it('of one provider in the name of another is refused', async () => {
    const other = await LocalProvider.start();
    const token = await other.sign({ iss: provider.issuer }, { kid: provider.key.kid });
    expect(await outcome(token)).toBe('SIGN_IN_FORGED');
    await other.goAway();
  });

  it('changed in any character is refused', async () => {
    const token = await provider.sign();
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'AZaz09-_.=+ \0é'), async (at, character) => {
        fc.pre(token[at] !== character);
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        // The last characters of a part may hold bits that mean nothing.
        fc.pre(changed.split('.').some((part, i) => !Buffer.from(part, 'base64url').equals(partOf(token, i))));
        expect(await outcome(changed)).toMatch(/^SIGN_IN_/);
      }),
      { numRuns: 300 },
    );
  });
});

const partOf = (token: string, i: number) => Buffer.from(token.split('.')[i] ?? '', 'base64url');

describe('what is no token', () => {
  it('is refused, whatever it is', async () => {
    const part = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.json({ maxDepth: 3 }).map((text) => Buffer.from(text).toString('base64url')),
      fc.constant(base64({ alg: 'ES256', kid: 'key' })),
      fc.constant(base64({ iss: provider.issuer, sub: 'person-1' })),
      fc.constant(base64({ alg: 'ES256', crit: ['exp'], b64: false })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        expect(await outcome(parts.join('.'))).toMatch(/^SIGN_IN_/);
      }),
      { numRuns: 500 },
    );
  });

  it('is refused before it is parsed if it is too large', async () => {
    expect(await outcome(await provider.sign({ groups: 'x'.repeat(7000) }))).toBe('SIGN_IN_UNREADABLE');
    expect(await outcome(await provider.sign({ groups: 'x'.repeat(4500) }))).toMatchObject({ subject: 'person-1' });
  });
});
