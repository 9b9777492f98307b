/** Where the public keys of a provider are read. */
import type { JSONWebKeySet } from 'jose';
import { z } from 'zod';
import { readBounded } from '../security/pem-file.ts';
import { fetchJson } from './bounded-request.ts';
import type { Provider } from './provider-file.ts';

/** Time for both documents together, in milliseconds. */
const FETCH_MS = 5000;
const MAX_KEYS = 100;
const MAX_KEY_TEXT = 8192;
const WELL_KNOWN = '/.well-known/openid-configuration';
/** Types of asymmetric keys. A symmetric key in a public document is a secret that is none. */
const PUBLIC_TYPES: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP']);

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string() });
const member = z.string().max(MAX_KEY_TEXT).optional();
/** Members of public keys (RFC 7517, 7518, 8037). All others are left out, so no private one is kept. */
const key = z.object({
  kty: z.string(),
  kid: member,
  alg: member,
  use: member,
  key_ops: z.array(z.string()).max(16).optional(),
  crv: member,
  x: member,
  y: member,
  n: member,
  e: member,
});
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(MAX_KEYS) });

/**
 * Reads the keys of a provider: from its file, from its URL, or from where its discovery document (OpenID Connect
 * Discovery 1.0) says, which must be at the issuer's own origin.
 * @param withinMs - time for it all, in milliseconds
 * @returns at least one public key
 * @throws Error in constant words
 */
export async function readKeys(provider: Provider, withinMs = FETCH_MS): Promise<JSONWebKeySet> {
  const { jwksFile, jwksUri, authorities } = provider;
  if (jwksFile !== undefined) return publicKeys(parsed(readBounded(jwksFile).toString('utf8')));
  const trust = { authorities, signal: AbortSignal.timeout(withinMs) };
  const url = jwksUri === undefined ? await discover(provider, trust) : new URL(jwksUri);
  return publicKeys(await fetchJson(url, trust));
}

async function discover({ issuer }: Provider, trust: Parameters<typeof fetchJson>[1]): Promise<URL> {
  const document = discovery.safeParse(await fetchJson(new URL(issuer.replace(/\/$/, '') + WELL_KNOWN), trust));
  if (!document.success) throw new Error('the discovery document names no issuer, or no keys');
  if (document.data.issuer !== issuer) throw new Error('the discovery document is of another issuer');
  const url = URL.parse(document.data.jwks_uri);
  if (url?.origin !== new URL(issuer).origin)
    throw new Error('the keys are at another origin than the issuer: name them by jwks_uri');
  return url;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('the file of keys is not JSON');
  }
}

function publicKeys(document: unknown): JSONWebKeySet {
  const given = keySet.safeParse(document);
  if (!given.success) throw new Error(`the document is not a set of at most ${MAX_KEYS} keys`);
  const keys = given.data.keys.flatMap((one) => {
    const read = PUBLIC_TYPES.has(one.kty) && !('d' in one) ? key.safeParse(one) : undefined;
    return read?.success === true ? [read.data] : [];
  });
  if (keys.length === 0) throw new Error('the document contains no public key');
  return { keys };
}
