/** Signing in at a provider from a terminal: OAuth 2.0 device authorization grant (RFC 8628), by openid-client. */
import { readFileSync } from 'node:fs';
import { decodeJwt } from 'jose';
import {
  customFetch,
  discovery,
  initiateDeviceAuthorization,
  None,
  pollDeviceAuthorizationGrant,
  refreshTokenGrant,
  tokenRevocation,
  type Configuration,
  type CustomFetch,
} from 'openid-client';
import { looksSigned } from '../access/sign-in.ts';
import { Failure } from '../failure.ts';
import { boundedRequest } from '../sign-in/bounded-request.ts';

/** The program as a provider knows it. */
export interface AtProvider {
  readonly issuer: string;
  readonly clientId: string;
  /** File with the authorities of the provider's certificate; undefined: those that come with the program. */
  readonly caFile: string | undefined;
  /** Whether the ID token is shown to the service, not the access token. */
  readonly usesIdToken: boolean;
}

export interface Tokens {
  /** Shown to the service. */
  readonly token: string;
  /** When it expires, in seconds since 1970. */
  readonly expiresAt: number;
  readonly refreshToken: string | undefined;
}

/** Where the person confirms the sign-in. */
export interface Invitation {
  readonly url: string;
  readonly code: string;
}

/** Time for one request, in milliseconds. */
const REQUEST_MS = 10_000;
/** Time for a person to confirm, whatever the provider allows, in milliseconds. */
const MAX_CONFIRMATION_MS = 900_000;
/** A provider must not write to the terminal. */
const PLAIN = /^[\x20-\x7e]{1,64}$/;
const ERROR_CODE = /^[a-z_]{1,40}$/;

/**
 * Signs in.
 * @param invite - tells the person where to confirm
 * @throws Failure SIGN_IN_FAILED, SIGN_IN_UNUSABLE, FILE_UNREADABLE
 */
export async function signIn(at: AtProvider, scope: string, invite: (to: Invitation) => void): Promise<Tokens> {
  return atProvider(at, async (configuration) => {
    const answer = await initiateDeviceAuthorization(configuration, { scope });
    const url = URL.parse(answer.verification_uri_complete ?? answer.verification_uri);
    if (url?.protocol !== 'https:' || !PLAIN.test(answer.user_code)) throw new Error('the invitation is malformed');
    invite({ url: url.href, code: answer.user_code });
    const signal = AbortSignal.timeout(Math.min(answer.expires_in * 1000, MAX_CONFIRMATION_MS));
    return tokensOf(at, await pollDeviceAuthorizationGrant(configuration, answer, undefined, { signal }), undefined);
  });
}

/** Gets another token without the person. @throws as `signIn` */
export async function renew(at: AtProvider, refreshToken: string): Promise<Tokens> {
  return atProvider(at, async (configuration) =>
    tokensOf(at, await refreshTokenGrant(configuration, refreshToken), refreshToken),
  );
}

/** Tells the provider that a sign-in has ended. @returns false: it offers no way to @throws as `signIn` */
export async function revoke(at: AtProvider, refreshToken: string): Promise<boolean> {
  return atProvider(at, async (configuration) => {
    if (configuration.serverMetadata().revocation_endpoint === undefined) return false;
    await tokenRevocation(configuration, refreshToken, { token_type_hint: 'refresh_token' });
    return true;
  });
}

async function atProvider<T>(
  { issuer, clientId, caFile }: AtProvider,
  work: (configuration: Configuration) => Promise<T>,
): Promise<T> {
  const authorities = caFile === undefined ? undefined : [readAuthorities(caFile)];
  const fetch = boundedFetch(authorities);
  try {
    return await work(await discovery(new URL(issuer), clientId, undefined, None(), { [customFetch]: fetch }));
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    const { error } = cause as { error?: unknown };
    const why = typeof error === 'string' && ERROR_CODE.test(error) ? `it answered ${error}` : 'no usable answer came';
    throw new Failure('failed-precondition', 'SIGN_IN_FAILED', `The provider ${issuer} did not sign in: ${why}.`, {
      cause,
    });
  }
}

function tokensOf(
  { issuer, usesIdToken }: AtProvider,
  answer: { access_token: string; id_token?: string | undefined; refresh_token?: string | undefined },
  earlierRefreshToken: string | undefined,
): Tokens {
  const token = usesIdToken ? answer.id_token : answer.access_token;
  const exp = token !== undefined && looksSigned(token) ? decodeJwt(token).exp : undefined;
  if (token === undefined || exp === undefined) {
    const sentence = usesIdToken
      ? `The provider ${issuer} gave no ID token: ask for the scope openid.`
      : `The access token of ${issuer} is not one that the service can verify: try --id-token.`;
    throw new Failure('failed-precondition', 'SIGN_IN_UNUSABLE', sentence);
  }
  return { token, expiresAt: exp, refreshToken: answer.refresh_token ?? earlierRefreshToken };
}

/** Never without TLS, and with the bounds of all requests to providers. */
function boundedFetch(authorities: readonly string[] | undefined): CustomFetch {
  return async (given, { method, headers, body }) => {
    const url = new URL(given);
    if (url.protocol !== 'https:') throw new Error('a provider is asked over TLS only');
    const sent = { method, headers, body: body === undefined || body === null ? undefined : String(body as string) };
    const answer = await boundedRequest(url, sent, { authorities, signal: AbortSignal.timeout(REQUEST_MS) });
    const type = answer.headers['content-type'];
    return new Response(answer.body.length === 0 ? null : new Uint8Array(answer.body), {
      status: answer.status,
      headers: type === undefined ? {} : { 'content-type': type },
    });
  };
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('invalid-argument', 'FILE_UNREADABLE', `The file ${file} (--ca) cannot be read.`, { cause });
  }
}
