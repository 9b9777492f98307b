import { Failure } from '../../failure.ts';
import { revoke, signIn } from '../device-sign-in.ts';
import { EXIT } from '../exit-codes.ts';
import { forget, keep, kept } from '../kept-sign-in.ts';
import { printResult } from '../output.ts';

export interface LoginOptions {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  readonly idToken?: boolean;
  readonly ca?: string;
  readonly signInFolder?: string;
  readonly json?: boolean;
}

/** Signs in at a provider, and keeps the token for other commands (`--oidc`). */
export async function login(_: readonly string[], options: LoginOptions): Promise<number> {
  const { issuer, clientId, scope, idToken, ca, signInFolder } = options;
  const at = { issuer, clientId, caFile: ca, usesIdToken: idToken === true };
  const tokens = await signIn(at, scope, ({ url, code }) => {
    // To standard error: standard output has only the answer.
    process.stderr.write(`To sign in, open ${url} and compare or enter the code ${code}\n`);
  });
  const file = await keep(signInFolder, { at, tokens });
  const until = new Date(tokens.expiresAt * 1000).toISOString();
  const more = tokens.refreshToken === undefined ? '' : ' Commands renew it by themselves.';
  printResult(
    options,
    { issuer, file, expire_time: until, renewable: tokens.refreshToken !== undefined },
    `Signed in at ${issuer} until ${until}.${more}`,
  );
  return EXIT.ok;
}

/** Forgets a sign-in, here and at the provider. */
export async function logout(
  _: readonly string[],
  options: Pick<LoginOptions, 'issuer' | 'signInFolder' | 'json'>,
): Promise<number> {
  const { issuer, signInFolder } = options;
  const found = kept(signInFolder, issuer);
  forget(signInFolder, issuer);
  if (found === undefined) {
    printResult(options, { issuer, revoked: false }, `There was no sign-in at ${issuer}.`);
    return EXIT.ok;
  }
  const { at, tokens } = found;
  const isRevoked =
    tokens.refreshToken !== undefined &&
    (await revoke(at, tokens.refreshToken).catch((error: unknown) => {
      if (error instanceof Failure) return false;
      throw error;
    }));
  const more = isRevoked ? 'the provider has been told' : 'the provider has not been told: the token ends by itself';
  printResult(options, { issuer, revoked: isRevoked }, `Signed out at ${issuer}; ${more}.`);
  return EXIT.ok;
}
