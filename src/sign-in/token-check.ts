/** What a token of a provider has to be like (OpenID Connect Core 1.0, 3.1.3.7; RFC 9068, 4; RFC 8725). */
import { decodeJwt, errors, jwtVerify, type CryptoKey, type JWSHeaderParameters } from 'jose';
import { z } from 'zod';
import { sha256, type SignIn } from '../access/sign-in.ts';
import { Failure } from '../failure.ts';
import type { Provider } from './provider-file.ts';

/** A token with many groups of a directory has half of this; more does not fit into the headers of a call. */
export const MAX_TOKEN_BYTES = 7168;
/** Signatures by private keys only: with a secret, a program that checks tokens could also make them. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'].concat([
  'EdDSA',
  'Ed25519',
]);
/** Seconds by which the clock of a provider may be ahead. An end counts exactly. */
const CLOCK_SKEW_SECONDS = 30;
const MAX_NAME = 255;
const MAX_VALUES = 64;
/** Other tokens of a provider, such as those that tell of a sign-out, have types of their own. */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt']);

const seconds = z.number().nonnegative();
const name = z.string().min(1).max(MAX_NAME);
/** As clients are registered with. */
const subject = name.regex(/^[\x21-\x7e]+$/);
const claims = z.object({
  sub: subject,
  exp: seconds,
  iat: seconds,
  azp: name.optional(),
  client_id: name.optional(),
  acr: name.optional(),
  amr: z.array(name).max(MAX_VALUES).optional(),
  jti: z.string().min(1).max(MAX_TOKEN_BYTES).optional(),
  /** A token that is bound to a key: it must not be taken from a caller that does not show the key. */
  cnf: z.never().optional(),
  /** Of tokens that tell of events, such as a sign-out. */
  events: z.never().optional(),
});

/**
 * The issuer that a token states. Nothing is verified yet.
 * @throws Failure SIGN_IN_UNREADABLE
 */
export function statedIssuer(token: string): string {
  if (Buffer.byteLength(token) > MAX_TOKEN_BYTES)
    throw refused('SIGN_IN_UNREADABLE', `The token has more than ${MAX_TOKEN_BYTES} bytes.`);
  try {
    const { iss } = decodeJwt(token);
    if (typeof iss === 'string') return iss;
  } catch {
    // The error of the library may quote the token.
  }
  throw refused('SIGN_IN_UNREADABLE', 'The token is not a signed one that states its issuer.');
}

/**
 * Verifies a token of a provider.
 * @param find - the key that the token names; its Failure is passed on
 * @param nowMs - milliseconds since 1970
 * @throws Failure, see SignIns.verify
 */
export async function checkToken(
  token: string,
  provider: Provider,
  find: (header: JWSHeaderParameters) => Promise<CryptoKey>,
  nowMs: number,
): Promise<SignIn> {
  const { issuer, audience, maxAgeSeconds } = provider;
  const { payload, protectedHeader } = await jwtVerify(token, find, {
    algorithms: ALGORITHMS,
    issuer,
    audience,
    clockTolerance: CLOCK_SKEW_SECONDS,
    maxTokenAge: maxAgeSeconds,
    requiredClaims: ['sub', 'exp', 'iat'],
    currentDate: new Date(nowMs),
  }).catch((error: unknown) => {
    throw failureOf(error);
  });
  const stated = claims.safeParse(payload);
  if (!stated.success || !TYPES.has((protectedHeader.typ ?? 'JWT').toLowerCase()))
    throw refused('SIGN_IN_CLAIMS_INVALID', 'The token is not one for calls, or lacks a claim.');
  const { sub, exp, iat, jti } = stated.data;
  requireKnownClient(provider, stated.data);
  const endTime = new Date(Math.min(exp, iat + maxAgeSeconds) * 1000);
  if (endTime.getTime() <= nowMs) throw expired();
  return {
    issuer,
    subject: sub,
    agency: provider.agency,
    endTime,
    secondFactor: secondFactorOf(provider, stated.data),
    tokenId: jti === undefined ? undefined : sha256(jti),
  };
}

type Claims = z.output<typeof claims>;

/** A token that another program has asked for was not meant for this service by its person. */
function requireKnownClient({ clients, audience }: Provider, { azp, client_id }: Claims): void {
  // A token that names no program was issued to its audience.
  const named = azp === undefined && client_id === undefined ? [audience] : [azp, client_id];
  for (const client of named)
    if (client !== undefined && !clients.includes(client))
      throw refused('SIGN_IN_AUDIENCE_WRONG', 'The token was issued to another program.');
}

function secondFactorOf({ secondFactor }: Provider, { acr, amr = [] }: Claims): SignIn['secondFactor'] {
  if (secondFactor === undefined) return 'not-required';
  const isShown =
    (acr !== undefined && secondFactor.acr.includes(acr)) || amr.some((method) => secondFactor.amr.includes(method));
  return isShown ? 'shown' : 'missing';
}

/** Errors of the library may quote claims: none is passed on. */
function failureOf(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) return expired();
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return refused('SIGN_IN_FORGED', 'The signature of the token is not that of its provider.');
  if (error instanceof errors.JWTClaimValidationFailed) return claimFailure(error);
  if (error instanceof errors.JOSEError)
    return refused('SIGN_IN_UNREADABLE', 'The token is malformed, or is not signed by an accepted algorithm.');
  return error;
}

function claimFailure({ claim, reason }: errors.JWTClaimValidationFailed): Failure {
  if (claim === 'aud') return refused('SIGN_IN_AUDIENCE_WRONG', 'The token is for another service.');
  if (reason === 'check_failed' && (claim === 'nbf' || claim === 'iat'))
    return refused(
      'SIGN_IN_NOT_YET_VALID',
      'The token is not valid yet: compare the clocks of the provider and the service.',
    );
  return refused('SIGN_IN_CLAIMS_INVALID', 'The token is not one for calls, or lacks a claim.');
}

function expired(): Failure {
  return refused('SIGN_IN_EXPIRED', 'The sign-in has expired: sign in again.');
}

function refused(reason: string, sentence: string): Failure {
  return new Failure('unauthenticated', reason, sentence, { field: 'authorization' });
}
