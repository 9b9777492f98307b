import { isIPv6 } from 'node:net';
import { InvalidArgumentError } from 'commander';

const EXAMPLE = '127.0.0.1:50151';
const MAX_HOST_LENGTH = 253;
const LIKE_IPV6 = /^[0-9a-f.]*:[0-9a-f.:%]*:[0-9a-z.:%]*$/i;
const HOST = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?$/i;

/**
 * Parses the address of a service. Only `host:port`: with other forms that gRPC knows (`dns:`, `xds:`, …) name servers
 * would decide where templates go.
 * @throws InvalidArgumentError that names the fault
 */
export function serviceAddress(text: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme !== undefined) throw refusal(`It must not begin with ${scheme}://`);
  if (text.startsWith('[')) {
    const [, inner, after] = /^\[([^\]]*)\](.*)$/s.exec(text) ?? [];
    if (inner === undefined || !isIPv6(inner)) throw refusal('What is in brackets must be an IPv6 address');
    return `[${inner}]:${portOf(after)}`;
  }
  if (LIKE_IPV6.test(text)) throw refusal('An IPv6 address goes in brackets, and a port behind it: [::1]:50151');
  const at = text.lastIndexOf(':');
  const host = at === -1 ? text : text.slice(0, at);
  if (host.length > MAX_HOST_LENGTH || !HOST.test(host)) throw refusal('The host is neither a name nor an address');
  return `${host}:${portOf(at === -1 ? '' : text.slice(at))}`;
}

/** Host and port of an address that serviceAddress has read. */
export function hostAndPort(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) };
}

/** @param text - the part after the host: a colon and digits */
function portOf(text: string | undefined): number {
  if (text === undefined || text === '') throw refusal('It has no port');
  const port = /^:\d{1,5}$/.test(text) ? Number(text.slice(1)) : NaN;
  if (port >= 1 && port <= 65_535) return port;
  throw refusal('The port must be 1 to 65535');
}

function refusal(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`${what}; it is host:port, as ${EXAMPLE}.`);
}
