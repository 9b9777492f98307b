import { Option } from 'commander';

/** Options of commands that call as a person who signed in. */
export interface SignInOptions {
  /** URL of the provider; undefined: the call is made with a token of the service, or a certificate. */
  readonly oidc?: string;
  readonly signInFolder?: string;
  /** The token of the sign-in, once it is read. */
  readonly signInToken?: string;
}

export function signInFolderOption(): Option {
  return new Option('--sign-in-folder <dir>', 'folder of sign-ins; default: .config/ridgewatch of the account').env(
    'RIDGEWATCH_SIGN_IN_FOLDER',
  );
}

export function oidcOption(): Option {
  return new Option(
    '--oidc <issuer>',
    'call as the person who signed in at this provider (ridgewatch login); goes before --token-file',
  ).env('RIDGEWATCH_OIDC_ISSUER');
}

/** The options with the token of the sign-in that they name. @throws Failure, see tokenForCall */
export async function withSignIn<Options extends object>(options: Options): Promise<Options> {
  const { oidc, signInFolder } = options as SignInOptions;
  if (oidc === undefined) return options;
  const { tokenForCall } = await import('./kept-sign-in.ts');
  return { ...options, signInToken: await tokenForCall(signInFolder, oidc) };
}
