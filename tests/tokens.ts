/** Tokens of the services that this process has started, for what tests run beside them. */
import { readToken } from '../src/access/local-client.ts';

const files = new Map<string, string>();

/** @param address - host:port for gRPC */
export function noteToken(address: string, file: string): void {
  files.set(address, file);
}

/** The environment of a command that calls a service of this process. */
export function tokenEnvironment(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { readonly RIDGEWATCH_TOKEN_FILE?: string } {
  const file = files.get(
    (args.includes('--address') ? args[args.indexOf('--address') + 1] : env.RIDGEWATCH_ADDRESS) ?? '',
  );
  return file === undefined ? {} : { RIDGEWATCH_TOKEN_FILE: file };
}

/** The header of calls to a service of this process; none for other servers. */
export function authorizationAt(port: number): Readonly<Record<string, string>> {
  const file = files.get(`127.0.0.1:${port}`);
  return file === undefined ? {} : { authorization: `Bearer ${readToken(file)}` };
}
