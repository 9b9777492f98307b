import { createHash, randomUUID, X509Certificate } from 'node:crypto';
import { Failure } from '../failure.ts';
import type { RegisteredCredential } from './client-directory.ts';
import { subjectFingerprint } from './sign-in.ts';
import { makeToken, tokenFingerprint } from './tokens.ts';

/** A credential as it was asked for. */
export type WantedCredential =
  | { readonly kind: 'token' }
  /** PEM. */
  | { readonly kind: 'certificate'; readonly certificate: Uint8Array }
  /** `issuer`: PEM. */
  | { readonly kind: 'certificate-name'; readonly name: string; readonly issuer: Uint8Array }
  /** `issuer`: URL of the provider. */
  | { readonly kind: 'oidc'; readonly issuer: string; readonly subject: string };

export interface MadeCredential {
  readonly credential: Pick<
    RegisteredCredential,
    'credentialId' | 'kind' | 'fingerprint' | 'name' | 'issuer' | 'expireTime'
  >;
  /** Only of a token: shown once, never stored. */
  readonly token: string | undefined;
}

const YEAR_MS = 365 * 24 * 3_600_000;
/** A forgotten token must end by itself. */
const TOKEN_MS = YEAR_MS;
const MAX_TOKEN_MS = 10 * YEAR_MS;

/**
 * Makes a credential to register.
 * @param expireTime - undefined: a token ends in a year, a certificate when it says so itself, a person when its provider says so
 * @throws Failure CREDENTIAL_EXPIRED, EXPIRY_TOO_LATE, CERTIFICATE_INVALID
 */
export function makeCredential(wanted: WantedCredential, expireTime: Date | undefined, now: Date): MadeCredential {
  const field = 'credential.expire_time';
  if (expireTime !== undefined && expireTime <= now)
    throw new Failure('invalid-argument', 'CREDENTIAL_EXPIRED', 'The credential would have expired already.', {
      field,
    });
  const made = { credentialId: randomUUID(), kind: wanted.kind, expireTime, name: undefined, issuer: undefined };
  switch (wanted.kind) {
    case 'token': {
      const last = new Date(now.getTime() + MAX_TOKEN_MS);
      if (expireTime !== undefined && expireTime > last)
        throw new Failure('invalid-argument', 'EXPIRY_TOO_LATE', 'A token lasts ten years at most.', { field });
      const token = makeToken();
      const until = expireTime ?? new Date(now.getTime() + TOKEN_MS);
      return { credential: { ...made, expireTime: until, fingerprint: tokenFingerprint(token) }, token };
    }
    case 'certificate': {
      const fingerprint = digestOf(wanted.certificate, 'credential.certificate');
      return { credential: { ...made, fingerprint }, token: undefined };
    }
    case 'certificate-name': {
      const issuer = digestOf(wanted.issuer, 'credential.certificate_name.issuer');
      return { credential: { ...made, name: wanted.name, issuer, fingerprint: undefined }, token: undefined };
    }
    case 'oidc': {
      const { issuer, subject } = wanted;
      const fingerprint = subjectFingerprint(issuer, subject);
      return { credential: { ...made, name: subject, issuer, fingerprint }, token: undefined };
    }
  }
}

/** SHA-256 of the first certificate of a PEM text, hexadecimal. */
function digestOf(pem: Uint8Array, field: string): string {
  try {
    return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
  } catch {
    throw new Failure('invalid-argument', 'CERTIFICATE_INVALID', 'It is not a certificate in PEM.', { field });
  }
}
