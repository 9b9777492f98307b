/** The file of identity providers (RIDGEWATCH_OIDC_FILE). */
import type { X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { certificatesIn, readBounded } from '../security/pem-file.ts';

/** What the service trusts a provider for. */
export interface Provider {
  /** URL, as the provider's tokens state it. */
  readonly issuer: string;
  /** What its tokens have to be for: one of their audiences. */
  readonly audience: string;
  /** The agency whose persons it signs in. */
  readonly agency: string;
  /** Programs that may ask for its tokens (`azp`, `client_id`). */
  readonly clients: readonly string[];
  /** Where its keys are; undefined: its discovery document says. */
  readonly jwksUri: string | undefined;
  /** File with its keys, instead of a URL. */
  readonly jwksFile: string | undefined;
  /** Authorities of its server's certificate (PEM); undefined: those that come with the program. */
  readonly authorities: readonly string[] | undefined;
  /** Undefined: it is not asked for a second factor. */
  readonly secondFactor: { readonly acr: readonly string[]; readonly amr: readonly string[] } | undefined;
  /** Oldest token that is accepted, in seconds. */
  readonly maxAgeSeconds: number;
}

const SETTING = 'RIDGEWATCH_OIDC_FILE';
const MAX_FILE_BYTES = 65_536;
const MAX_PROVIDERS = 32;
const MAX_LISTED = 16;
const MAX_TEXT = 256;
const DEFAULT_MAX_AGE_SECONDS = 3600;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

const text = z.string().min(1, 'is empty').max(MAX_TEXT, `has more than ${MAX_TEXT} characters`);
const texts = z.array(text).max(MAX_LISTED, `has more than ${MAX_LISTED} entries`);

/** Keys must come over TLS: with keys that can be exchanged a provider signs in any caller. Loopback is for trying. */
const secureUrl = text.refine((given) => {
  const url = URL.parse(given);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '' || /\s/.test(given)) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}, 'is not an https URL');

const issuer = secureUrl.refine((given) => !given.includes('?'), 'has a query');

const provider = z
  .strictObject({
    issuer,
    audience: text,
    agency: z.string().regex(/^[A-Za-z0-9._:-]{1,28}$/, 'is not the name of an agency'),
    clients: texts.min(1, 'is empty').optional(),
    jwks_uri: secureUrl.optional(),
    jwks_file: text.optional(),
    ca_file: text.optional(),
    second_factor: z
      .strictObject({ acr: texts.default([]), amr: texts.default([]) })
      .refine(({ acr, amr }) => acr.length + amr.length > 0, 'names no value')
      .optional(),
    max_age_seconds: z
      .int('is not a whole number')
      .min(60, 'is less than 60')
      .max(86_400, 'is more than 86400')
      .default(DEFAULT_MAX_AGE_SECONDS),
  })
  .refine(({ jwks_uri, jwks_file }) => jwks_uri === undefined || jwks_file === undefined, {
    error: 'goes without jwks_uri',
    path: ['jwks_file'],
  });

const schema = z.strictObject({
  providers: z
    .array(provider)
    .max(MAX_PROVIDERS, `has more than ${MAX_PROVIDERS} entries`)
    .refine((all) => new Set(all.map((one) => one.issuer)).size === all.length, 'names an issuer twice'),
});

/** What was read, and the files that it came from. */
export interface ProviderFile {
  readonly providers: readonly Provider[];
  /** Absolute paths: the file itself, and those that it names. */
  readonly files: readonly string[];
}

/**
 * Reads the file of providers. Paths in it are relative to it.
 * @throws Failure OIDC_INVALID: one sentence that names the place, never a value
 */
export function readProviderFile(file: string): ProviderFile {
  const parsed = schema.safeParse(jsonOf(file));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalid(file, `${placeOf(issue?.path ?? [])} ${sentenceOf(issue)}`);
  }
  const beside = (name: string | undefined) => (name === undefined ? undefined : resolve(dirname(file), name));
  const named: string[] = [];
  const providers = parsed.data.providers.map((given): Provider => {
    const [jwksFile, caFile] = [beside(given.jwks_file), beside(given.ca_file)];
    named.push(...[jwksFile, caFile].filter((name) => name !== undefined));
    return {
      issuer: given.issuer,
      audience: given.audience,
      agency: given.agency,
      clients: given.clients ?? [given.audience],
      jwksUri: given.jwks_uri,
      jwksFile,
      authorities: caFile === undefined ? undefined : authoritiesIn(file, caFile),
      secondFactor: given.second_factor,
      maxAgeSeconds: given.max_age_seconds,
    };
  });
  return { providers, files: [resolve(file), ...named] };
}

function jsonOf(file: string): unknown {
  let content: Buffer;
  try {
    content = readBounded(file);
  } catch (cause) {
    throw invalid(file, `cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  if (content.length > MAX_FILE_BYTES) throw invalid(file, `has more than ${MAX_FILE_BYTES} bytes`);
  try {
    return JSON.parse(content.toString('utf8'));
  } catch {
    throw invalid(file, 'is not JSON');
  }
}

function authoritiesIn(file: string, caFile: string): readonly string[] {
  let certificates: readonly X509Certificate[];
  try {
    certificates = certificatesIn(SETTING, caFile, readBounded(caFile));
  } catch {
    throw invalid(file, 'names a ca_file that cannot be read, or holds no complete certificate in PEM');
  }
  return certificates.map((certificate) => certificate.toString());
}

/** Names what is there to be named: a key that the file should not have may be a secret in the wrong place. */
function sentenceOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys') return 'has a key that is not known';
  if (issue?.code === 'invalid_type') return `is missing, or is not of type ${issue.expected}`;
  return issue?.message ?? 'is not valid';
}

function placeOf(path: readonly PropertyKey[]): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return place === '' ? 'the whole' : place.slice(1);
}

function invalid(file: string, problem: string): Failure {
  return new Failure('failed-precondition', 'OIDC_INVALID', `${SETTING}, the file ${file}: ${problem}.`, {
    field: SETTING,
  });
}
