/** Who a caller is taken for, by what it shows. */
import { beforeEach, describe, expect, it } from 'vitest';
import {
  ClientDirectory,
  type RegisteredClient,
  type RegisteredCredential,
} from '../../src/access/client-directory.ts';
import { Gatekeeper, type Presented } from '../../src/access/gatekeeper.ts';
import { makeToken, tokenFingerprint } from '../../src/access/tokens.ts';
import { subjectFingerprint, type SignIn, type SignIns } from '../../src/access/sign-in.ts';
import { Failure } from '../../src/failure.ts';
import type { Client, Role } from '../../src/access/principal.ts';
import { clientWith } from './clients.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const [ISSUER, OTHER_ISSUER, ROOT] = ['aa', 'bb', 'cc'].map((pair) => pair.repeat(32)) as [string, string, string];
const NAME = 'URI:spiffe://border.example/gate/1';

let made = 0;
function credential(changes: Partial<RegisteredCredential>): RegisteredCredential {
  return {
    credentialId: `credential-${made++}`,
    kind: 'certificate',
    fingerprint: undefined,
    name: undefined,
    issuer: undefined,
    createTime: new Date(0),
    createdBy: 'local',
    expireTime: undefined,
    revokeTime: undefined,
    revokedBy: undefined,
    ...changes,
  };
}

function registered(
  clientId: string,
  credentials: readonly RegisteredCredential[],
  changes: Partial<RegisteredClient> = {},
): RegisteredClient {
  return {
    client: clientWith(['checkpoint'], { clientId }),
    credentials,
    createTime: new Date(0),
    createdBy: 'local',
    disableTime: undefined,
    disableReason: undefined,
    version: 1,
    ...changes,
  };
}

const certificate = (
  fingerprint: string,
  names: readonly string[] = [],
  issuers: readonly string[] = [ISSUER, ROOT],
) => ({
  fingerprint,
  issuers,
  names,
  commonName: undefined,
  organisation: undefined,
  notAfter: new Date(NOW + 1000),
});
const bearer = (token: string) => [`Bearer ${token}`];

let clients: readonly RegisteredClient[];
let directory: ClientDirectory;
let gatekeeper: Gatekeeper;
let version = 0;

/** Registers these clients in place of the earlier ones. */
async function register(...these: readonly RegisteredClient[]): Promise<void> {
  clients = these;
  version++;
  await directory.refresh();
}

beforeEach(() => {
  clients = [];
  directory = new ClientDirectory({
    clientVersion: () => Promise.resolve(version),
    readClients: () => Promise.resolve({ version, clients, damaged: [] }),
  });
  gatekeeper = new Gatekeeper(directory, { mayTake: () => true }, () => NOW);
});

/** The id of the client, or the reason of the refusal. */
function outcome(presented: Partial<Presented>): string {
  try {
    return gatekeeper.identify({ authorization: [], ...presented }).client.clientId;
  } catch (error) {
    const { kind, reason } = error as Failure;
    expect(kind).toBe('unauthenticated');
    return reason;
  }
}

describe('a certificate', () => {
  it('stands for the client that it was registered for, and for no other', async () => {
    await register(
      registered('gate-1', [credential({ fingerprint: '11' })]),
      registered('gate-2', [credential({ fingerprint: '22' })]),
    );
    expect(outcome({ certificate: certificate('11') })).toBe('gate-1');
    expect(outcome({ certificate: certificate('22') })).toBe('gate-2');
    expect(outcome({ certificate: certificate('33') })).toBe('CREDENTIALS_UNKNOWN');
    expect(outcome({})).toBe('CREDENTIALS_REQUIRED');
  });

  it('is known by a name only under the issuer that the name was registered with', async () => {
    await register(
      registered('gate-1', [credential({ kind: 'certificate-name', name: NAME, issuer: ISSUER })]),
      registered('gate-2', [credential({ kind: 'certificate-name', name: `${NAME}0`, issuer: ISSUER })]),
    );
    expect(outcome({ certificate: certificate('11', ['DNS:gate.example', NAME]) })).toBe('gate-1');
    expect(outcome({ certificate: certificate('22', [NAME], [OTHER_ISSUER, ISSUER]) })).toBe('gate-1');
    expect(outcome({ certificate: certificate('11', [NAME], [OTHER_ISSUER, ROOT]) })).toBe('CREDENTIALS_UNKNOWN');
    expect(outcome({ certificate: certificate('11', [NAME], []) })).toBe('CREDENTIALS_UNKNOWN');
    expect(outcome({ certificate: certificate('11', [NAME.toUpperCase()]) })).toBe('CREDENTIALS_UNKNOWN');
    const { credential: shown } = gatekeeper.identify({ certificate: certificate('11', [NAME]), authorization: [] });
    expect(shown).toMatchObject({ kind: 'certificate', fingerprint: '11' });
  });

  it('does not stand for a token with the same digest, nor the reverse', async () => {
    const token = makeToken();
    await register(registered('gate-1', [credential({ fingerprint: tokenFingerprint(token) })]));
    expect(outcome({ authorization: bearer(token) })).toBe('CREDENTIALS_UNKNOWN');
    await register(registered('gate-1', [credential({ kind: 'token', fingerprint: '11' })]));
    expect(outcome({ certificate: certificate('11') })).toBe('CREDENTIALS_UNKNOWN');
  });
});

describe('a certificate and a token', () => {
  const [token, foreign] = [makeToken(), makeToken()];
  const both = (changes: Partial<RegisteredCredential> = {}) => [
    credential({ fingerprint: '11', ...changes }),
    credential({ kind: 'token', fingerprint: tokenFingerprint(token) }),
  ];

  it('must be of one client', async () => {
    await register(
      registered('gate-1', both()),
      registered('gate-2', [credential({ kind: 'token', fingerprint: tokenFingerprint(foreign) })]),
    );
    expect(outcome({ certificate: certificate('11'), authorization: bearer(token) })).toBe('gate-1');
    expect(outcome({ certificate: certificate('11'), authorization: bearer(foreign) })).toBe('CREDENTIALS_CONFLICT');
    expect(outcome({ certificate: certificate('11'), authorization: bearer(makeToken()) })).toBe('CREDENTIALS_UNKNOWN');
    expect(outcome({ authorization: [...bearer(token), ...bearer(token)] })).toBe('CREDENTIALS_UNREADABLE');
  });

  it('must both be valid', async () => {
    const shown = { certificate: certificate('11'), authorization: bearer(token) };
    await register(registered('gate-1', both({ revokeTime: new Date(0) })));
    expect(outcome(shown)).toBe('CREDENTIAL_REVOKED');
    await register(registered('gate-1', both({ expireTime: new Date(NOW) })));
    expect(outcome(shown)).toBe('CREDENTIAL_EXPIRED');
    await register(registered('gate-1', both({ expireTime: new Date(NOW + 1) })));
    expect(outcome(shown)).toBe('gate-1');
    await register(registered('gate-1', both(), { disableTime: new Date(0) }));
    expect(outcome(shown)).toBe('CLIENT_DISABLED');
  });
});

describe('calls under way', () => {
  it('end when their own credential is revoked or forgotten, and others of the client go on', async () => {
    const [old, later] = [credential({ fingerprint: '11' }), credential({ fingerprint: '22' })];
    await register(registered('gate-1', [old, later]));
    const admit = (fingerprint: string) =>
      gatekeeper.admit({ certificate: certificate(fingerprint), authorization: [] }, []);
    const [first, second] = [admit('11'), admit('22')];
    await register(registered('gate-1', [{ ...old, revokeTime: new Date(NOW) }, later]));
    expect([first.end.aborted, second.end.aborted]).toEqual([true, false]);
    expect(first.end.reason).toMatchObject({ reason: 'CREDENTIAL_REVOKED' });
    await register(registered('gate-1', [old]));
    expect(second.end.reason).toMatchObject({ reason: 'CREDENTIALS_UNKNOWN' });
    expect(gatekeeper.calls).toBe(0);
  });

  it('are forgotten when they leave', async () => {
    await register(registered('gate-1', [credential({ fingerprint: '11' })]));
    const { end, leave } = gatekeeper.admit({ certificate: certificate('11'), authorization: [] }, ['identify']);
    expect(gatekeeper.calls).toBe(1);
    leave();
    await register();
    expect([gatekeeper.calls, end.aborted]).toEqual([0, false]);
  });
});

describe('a person who signs in', () => {
  const PROVIDER = 'https://id.example';
  const TOKEN = 'head.content.signature';
  const signIn = (changes: Partial<SignIn> = {}): SignIn => ({
    issuer: PROVIDER,
    subject: 'person',
    agency: 'agency-a',
    endTime: new Date(NOW + 1000),
    secondFactor: 'shown',
    tokenId: undefined,
    ...changes,
  });
  const person = credential({
    kind: 'oidc',
    fingerprint: subjectFingerprint(PROVIDER, 'person'),
    name: 'person',
    issuer: PROVIDER,
  });
  const personClient = (roles: readonly Role[] = ['examiner'], changes: Partial<Client> = {}) =>
    registered('jo', [person], { client: clientWith(roles, { clientId: 'jo', kind: 'person', ...changes }) });

  let agency: string | undefined;
  let isTrusted: boolean;
  let time: number;
  beforeEach(() => {
    [agency, isTrusted, time] = ['agency-a', true, NOW];
    const signIns: SignIns = {
      verify: () => Promise.resolve(signIn()),
      trusts: () => isTrusted,
      agencyOf: () => agency,
    };
    gatekeeper = new Gatekeeper(directory, { mayTake: () => true }, () => time, signIns);
  });
  const shown = (changes: Partial<SignIn> = {}) => ({ authorization: bearer(TOKEN), signIn: signIn(changes) });

  it('is the client of the issuer and subject together, and of no other kind of credential', async () => {
    await register(personClient());
    expect(outcome(shown())).toBe('jo');
    expect(outcome(shown({ subject: 'another' }))).toBe('CREDENTIALS_UNKNOWN');
    expect(outcome(shown({ issuer: 'https://id.example/' }))).toBe('CREDENTIALS_UNKNOWN');
    await register(
      registered('gate-1', [
        credential({ fingerprint: person.fingerprint }),
        credential({ kind: 'token', fingerprint: person.fingerprint }),
      ]),
    );
    expect(outcome(shown())).toBe('CREDENTIALS_UNKNOWN');
  });

  it('is known by a verified token only, and a certificate beside it must be of the same client', async () => {
    await register(personClient(), registered('gate-1', [credential({ fingerprint: '11' })]));
    expect(outcome({ authorization: bearer(TOKEN) })).toBe('CREDENTIALS_UNREADABLE');
    expect(outcome({ authorization: bearer('no-dots'), signIn: signIn() })).toBe('CREDENTIALS_UNREADABLE');
    expect(outcome({ authorization: [], signIn: signIn() })).toBe('CREDENTIALS_REQUIRED');
    expect(outcome({ ...shown(), certificate: certificate('11') })).toBe('CREDENTIALS_CONFLICT');
    expect(gatekeeper.verified({ authorization: bearer(makeToken()) })).toBeUndefined();
    await expect(gatekeeper.verified({ authorization: bearer(TOKEN) })).resolves.toMatchObject({
      signIn: { subject: 'person' },
    });
  });

  it('must be a person, of the agency of the provider', async () => {
    await register(personClient(['examiner'], { kind: 'machine' }));
    expect(outcome(shown())).toBe('SIGN_IN_PERSONS_ONLY');
    await register(personClient(['examiner'], { agency: 'agency-b' }));
    expect(outcome(shown())).toBe('SIGN_IN_AGENCY_WRONG');
  });

  it.each(['supervisor', 'administrator'] as const)('with the role %s needs a second factor', async (role) => {
    await register(personClient(['examiner', role]));
    expect(outcome(shown({ secondFactor: 'missing' }))).toBe('SECOND_FACTOR_REQUIRED');
    expect(outcome(shown({ secondFactor: 'shown' }))).toBe('jo');
    expect(outcome(shown({ secondFactor: 'not-required' }))).toBe('jo');
    await register(personClient(['examiner']));
    expect(outcome(shown({ secondFactor: 'missing' }))).toBe('jo');
  });

  it.each([
    ['when the sign-in ends', () => void (time = NOW + 1000), 'SIGN_IN_EXPIRED'],
    ['when the provider is no longer configured', () => void (agency = undefined), 'SIGN_IN_ISSUER_UNKNOWN'],
    ['when the settings of the provider change', () => void (isTrusted = false), 'SIGN_IN_PROVIDER_CHANGED'],
  ])('has its calls ended %s', async (_, happen, reason) => {
    await register(personClient());
    const { end } = gatekeeper.admit(shown(), []);
    gatekeeper.review();
    expect(end.aborted).toBe(false);
    happen();
    gatekeeper.review();
    expect(end.reason).toMatchObject({ reason });
    expect(gatekeeper.calls).toBe(0);
  });

  it('has its calls ended when it gets a role that needs a second factor', async () => {
    await register(personClient());
    const { end } = gatekeeper.admit(shown({ secondFactor: 'missing' }), []);
    await register(personClient(['examiner', 'supervisor']));
    expect(end.reason).toMatchObject({ reason: 'SECOND_FACTOR_REQUIRED' });
  });
});

it('without providers a signed token is of an unknown one', async () => {
  await expect(gatekeeper.verified({ authorization: bearer('a.b.c') })).rejects.toThrow(Failure);
  await expect(gatekeeper.verified({ authorization: bearer('a.b.c') })).rejects.toMatchObject({
    reason: 'SIGN_IN_ISSUER_UNKNOWN',
  });
});
