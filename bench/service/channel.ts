import type { ClientOptions } from '@grpc/grpc-js';
import { localTokenFile, readToken } from '../../src/access/local-client.ts';
import { bearer } from '../../src/security/bearer.ts';
import { DIRECT_CHANNEL } from '../../src/security/client-channel.ts';

const tokens = new Map<string, string>();

/** Notes the token of a service that a bench has started. @param address - host:port */
export function noteService(address: string, dataDir: string): void {
  tokens.set(address, readToken(localTokenFile(dataDir)) ?? '');
}

/** The token of a service that this process has started. */
export function tokenOf(address: string): string {
  const token = tokens.get(address);
  if (token === undefined) throw new Error(`no service was started at ${address}`);
  return token;
}

/** Options of channels to such a service. @param token - default: the one noted */
export function channelOf(address: string, token = tokenOf(address)): ClientOptions {
  return { ...DIRECT_CHANNEL, interceptors: [bearer(token)] };
}
