import { Failure } from '../failure.ts';
import type { RegisteredCredential } from './client-directory.ts';
import type { Client } from './principal.ts';
import type { SignIns } from './sign-in.ts';

/**
 * What a client has to be for a person at a provider to be registered for it. Calls are checked by the same rules: the
 * providers may be others by then.
 * @throws Failure SIGN_IN_PERSONS_ONLY, SIGN_IN_ISSUER_UNKNOWN, SIGN_IN_AGENCY_WRONG
 */
export function requireSignInFor(
  { kind: clientKind, agency }: Pick<Client, 'kind' | 'agency'>,
  { kind, issuer = '' }: Pick<RegisteredCredential, 'kind' | 'issuer'>,
  signIns: Pick<SignIns, 'agencyOf'>,
): void {
  if (kind !== 'oidc') return;
  const field = 'credential.oidc.issuer';
  if (clientKind !== 'person')
    throw new Failure('invalid-argument', 'SIGN_IN_PERSONS_ONLY', 'A machine cannot sign in at a provider.', {
      field: 'credential.oidc',
    });
  const expected = signIns.agencyOf(issuer);
  if (expected === undefined) {
    const sentence = 'The service has no provider of this URL: RIDGEWATCH_OIDC_FILE lists them.';
    throw new Failure('invalid-argument', 'SIGN_IN_ISSUER_UNKNOWN', sentence, { field });
  }
  if (expected !== agency)
    throw new Failure('invalid-argument', 'SIGN_IN_AGENCY_WRONG', 'The provider signs in persons of another agency.', {
      field,
    });
}
