/** Persons who sign in at an identity provider of their agency, and call with the token that it has signed. */
import { createHash } from 'node:crypto';

/** What a provider has said of a person, in a token that was verified. */
export interface SignIn {
  /** URL of the provider. */
  readonly issuer: string;
  /** Id of the person at the provider. */
  readonly subject: string;
  /** The agency that the provider may sign persons in for. */
  readonly agency: string;
  /** When the sign-in ends: the token expires, or is older than the provider's tokens may be. */
  readonly endTime: Date;
  /** `missing`: the provider is to ask for a second factor, and the token states none. */
  readonly secondFactor: 'shown' | 'missing' | 'not-required';
  /** SHA-256 of the token's id (`jti`), hexadecimal; undefined: it has none. */
  readonly tokenId: string | undefined;
}

/** Providers that may sign persons in. */
export interface SignIns {
  /**
   * Verifies a token: its signature, and everything in it that does not depend on the registered clients.
   * @throws Failure SIGN_IN_UNREADABLE, SIGN_IN_ISSUER_UNKNOWN, SIGN_IN_KEY_UNKNOWN, SIGN_IN_KEYS_UNAVAILABLE,
   * SIGN_IN_FORGED, SIGN_IN_CLAIMS_INVALID, SIGN_IN_AUDIENCE_WRONG, SIGN_IN_EXPIRED, SIGN_IN_NOT_YET_VALID
   */
  verify(token: string): Promise<SignIn>;
  /** Whether the provider of a sign-in is configured as it was when its token was verified. */
  trusts(signIn: SignIn): boolean;
  /** The agency that a provider may sign persons in for; undefined: there is no such provider. */
  agencyOf(issuer: string): string | undefined;
}

/** A signed token has three parts. Tokens of the service itself have no dots. */
const THREE_PARTS = /^[^.]*\.[^.]*\.[^.]*$/;

/** Whether a text has the outer form of a signed token (JWS compact serialization, RFC 7515). */
export function looksSigned(token: string): boolean {
  return THREE_PARTS.test(token);
}

/** The digest by which a person is known: SHA-256, hexadecimal. A URL contains no space, so no two persons share it. */
export function subjectFingerprint(issuer: string, subject: string): string {
  return sha256(`${issuer} ${subject}`);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
