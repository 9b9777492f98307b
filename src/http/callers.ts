/** Searches are accepted from programs on this machine, or over TLS, and never from web pages in a browser. */
import type { IncomingMessage } from 'node:http';
import { Failure } from '../failure.ts';

/** Any port: a tunnel to the service may use another one. */
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;
const JSON_TYPE = /^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

/**
 * Prevents DNS rebinding: a web page whose host name resolves to this machine could otherwise request searches. A page
 * cannot choose `Host` or `Origin`, and cannot send JSON to another origin without a preflight request. Over TLS a
 * browser compares the name with the certificate, so any name will do.
 * @param host - address that the service listens on
 * @throws Failure HOST_REFUSED, ORIGIN_REFUSED
 */
export function requireProgram(request: IncomingMessage, host: string, isSecure: boolean): void {
  const hosts = valuesOf(request, 'host');
  const [named] = hosts;
  const isKnown = (name: string) => isSecure || LOOPBACK_HOST.test(name) || isAddress(name, host);
  if (hosts.length !== 1 || named === undefined || !isKnown(named)) {
    const sentence = isSecure
      ? 'A request names one host.'
      : 'Searches are answered for the host localhost, or another name of the loopback address, only.';
    throw new Failure('permission-denied', 'HOST_REFUSED', sentence, { field: 'Host' });
  }
  const site = valuesOf(request, 'sec-fetch-site');
  const isForeign =
    valuesOf(request, 'origin').some((origin) => origin !== `${isSecure ? 'https' : 'http'}://${named}`) ||
    site.some((value) => value !== 'same-origin' && value !== 'none');
  if (isForeign) {
    const sentence = 'Searches are not answered for web pages of another origin.';
    throw new Failure('permission-denied', 'ORIGIN_REFUSED', sentence, { field: 'Origin' });
  }
}

/** @throws Failure CONTENT_TYPE_UNSUPPORTED */
export function requireJson(request: IncomingMessage): void {
  const encoding = valuesOf(request, 'content-encoding');
  const isPlain = encoding.every((value) => value.trim().toLowerCase() === 'identity');
  const types = valuesOf(request, 'content-type');
  if (isPlain && types.length === 1 && JSON_TYPE.test(types[0]?.trim() ?? '')) return;
  const sentence = 'The body must be application/json in UTF-8, without a content encoding.';
  throw new Failure('invalid-argument', 'CONTENT_TYPE_UNSUPPORTED', sentence, { field: 'Content-Type' });
}

function isAddress(named: string, host: string): boolean {
  const own = host.includes(':') ? `[${host}]` : host;
  return named.toLowerCase().replace(/:\d{1,5}$/, '') === own.toLowerCase();
}

/** All values of a header, including those that Node.js drops or joins. */
function valuesOf(request: IncomingMessage, name: string): string[] {
  return request.headersDistinct[name] ?? [];
}
