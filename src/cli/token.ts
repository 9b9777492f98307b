import { localTokenFile, readToken } from '../access/local-client.ts';
import { Failure } from '../failure.ts';
import { hostAndPort } from './address.ts';

/** What decides which token a command shows. */
export interface TokenOptions {
  /** host:port of the service. */
  readonly address: string;
  /** Whether the connection is encrypted. */
  readonly isEncrypted: boolean;
  /** File that the user names; undefined: the token of this machine's data directory, if there is one. */
  readonly tokenFile: string | undefined;
  /** Of a person who signed in at a provider; it goes before the file. */
  readonly signInToken?: string | undefined;
  readonly dataDir: string;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i;

/**
 * The token to show. The one of the data directory is for a service on this machine: it is never sent elsewhere.
 * @returns undefined: none; the service will know the caller by its certificate, or refuse it
 * @throws Failure TOKEN_UNREADABLE, TOKEN_INVALID, TOKEN_NEEDS_TLS
 */
export function tokenFor({ address, isEncrypted, tokenFile, signInToken, dataDir }: TokenOptions): string | undefined {
  const isLocal = LOOPBACK.test(hostAndPort(address).host);
  const isNamed = tokenFile !== undefined || signInToken !== undefined;
  if (isNamed && !isLocal && !isEncrypted) {
    const sentence = `The token would be sent to ${address} unencrypted: name the authority of its certificate (--tls-ca).`;
    throw new Failure('invalid-argument', 'TOKEN_NEEDS_TLS', sentence);
  }
  if (signInToken !== undefined) return signInToken;
  if (tokenFile === undefined) return isLocal ? readToken(localTokenFile(dataDir)) : undefined;
  const token = readToken(tokenFile);
  if (token !== undefined) return token;
  throw new Failure('invalid-argument', 'TOKEN_UNREADABLE', `The file ${tokenFile} (--token-file) cannot be read.`);
}
