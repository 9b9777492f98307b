/** Rules for requests about clients. */
import { z } from 'zod';
import { ClientKind, Role, type UpdateClientRequest } from './generated/ridgewatch/v1/access.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import { remark } from './text-rules.ts';
import { knows, MAX_LISTED, name, uuid } from './validation.ts';
import { MAX_CLIENT_GALLERIES, MAX_PURPOSES, MAX_ROLES, MAX_UPDATE_PATHS } from './wire-limits.ts';

/** `REL-` and the code of the agency have to fit into a caveat of 32 characters. */
const MAX_AGENCY = 28;
const MAX_PEM_BYTES = 16_384;
const MAX_CERTIFICATE_NAME = 512;
/** OpenID Connect Core 1.0, section 2: a subject has at most 255 ASCII characters. */
const MAX_SUBJECT = 255;
const MAX_ISSUER = 256;
/** Who is named where the service itself, or a command on the store, does something. */
const RESERVED: ReadonlySet<string> = new Set(['service', 'recovery']);
const YEAR_SECONDS = 31_536_000;

const known = (enumeration: Readonly<Record<string, number>>, what: string) =>
  z.number().refine((value) => value !== 0 && knows(enumeration, value), `is not a known ${what}`);
const distinct = (list: readonly unknown[]) => new Set(list).size === list.length;

const pem = z
  .instanceof(Uint8Array)
  .refine((bytes) => bytes.length > 0, 'is required')
  .refine((bytes) => bytes.length <= MAX_PEM_BYTES, `must have at most ${MAX_PEM_BYTES} bytes`);

const fields = z.object({
  clientId: name.refine((id) => !RESERVED.has(id), 'is a name that the service uses for itself'),
  kind: known(ClientKind, 'kind'),
  agency: name.max(MAX_AGENCY, `must have at most ${MAX_AGENCY} characters`),
  roles: z
    .array(known(Role, 'role'))
    .min(1, 'needs at least one role')
    .max(MAX_ROLES)
    .refine(distinct, 'contains the same role twice'),
  allGalleries: z.boolean(),
  galleries: z.array(name).max(MAX_CLIENT_GALLERIES).refine(distinct, 'contains the same name twice'),
  purposes: z.array(known(Purpose, 'purpose')).max(MAX_PURPOSES).refine(distinct, 'contains the same purpose twice'),
  clearance: z.number().int().max(3, 'must be a whole number from 0 to 3'),
  callsPerSecond: z.number().min(0, 'must be 0 to 10,000').max(10_000, 'must be 0 to 10,000'),
  streams: z.number().max(1000, 'must be at most 1,000'),
  verificationsPerDay: z.number().max(1_000_000, 'must be at most 1,000,000'),
});

const listsNone = ({ allGalleries = false, galleries = [] }: { allGalleries?: boolean; galleries?: string[] }) =>
  !(allGalleries && galleries.length > 0);
const NO_LIST = { error: 'must be empty where all galleries may be used', path: ['galleries'] };
const client = fields.refine(listsNone, NO_LIST);

const certificateName = z
  .string()
  .max(MAX_CERTIFICATE_NAME, `must have at most ${MAX_CERTIFICATE_NAME} characters`)
  .regex(/^(URI:spiffe:\/\/[\x21-\x7e]+|DNS:[A-Za-z0-9.-]+)$/, "must be 'URI:spiffe://…' or 'DNS:…'");

const oidcSubject = z.object({
  issuer: z
    .string()
    .max(MAX_ISSUER, `must have at most ${MAX_ISSUER} characters`)
    .regex(/^https?:\/\/[\x21-\x7e]+$/, "must be the provider's URL"),
  subject: z
    .string()
    .max(MAX_SUBJECT, `must have at most ${MAX_SUBJECT} characters`)
    .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII characters'),
});

const credential = z.object({
  how: z.discriminatedUnion(
    '$case',
    [
      z.object({ $case: z.literal('token'), value: z.literal(true, 'must be true') }),
      z.object({ $case: z.literal('certificate'), value: pem }),
      z.object({
        $case: z.literal('certificateName'),
        value: z.object({ name: certificateName, issuer: pem }),
      }),
      z.object({ $case: z.literal('oidc'), value: oidcSubject }),
    ],
    'is required: token, certificate, certificate_name or oidc',
  ),
  expireTime: z.date('must be a valid time').optional(),
});

export const addClientRules = z.object({ client, credential });
export const rotateRules = z.object({
  clientId: name,
  credential,
  overlapSeconds: z.number().max(YEAR_SECONDS, `must be at most ${YEAR_SECONDS}`),
});
/** Fields that UpdateClient can change; `galleries` together with `all_galleries`. */
export const CLIENT_PATHS = [
  'roles',
  'galleries',
  'purposes',
  'clearance',
  'calls_per_second',
  'streams',
  'verifications_per_day',
] as const;

export type ClientPath = (typeof CLIENT_PATHS)[number];

export const updateClientRules = z.object({
  client: fields
    .omit({ kind: true, agency: true })
    .partial({
      roles: true,
      allGalleries: true,
      galleries: true,
      purposes: true,
      clearance: true,
      callsPerSecond: true,
      streams: true,
      verificationsPerDay: true,
    })
    .refine(listsNone, NO_LIST),
  updateMask: z
    .array(z.enum(CLIENT_PATHS, `must be one of ${CLIENT_PATHS.join(', ')}`), 'is required: it must name a field')
    .min(1, 'must name at least one field')
    .max(MAX_UPDATE_PATHS, `must name at most ${MAX_UPDATE_PATHS} fields`),
  etag: z.string().regex(/^[0-9a-f]{32}$/, 'is required, as an answer about the client had it'),
});
/** Keeps only the fields that the mask names, and the id: UpdateClient ignores the others. */
export function onlyNamedClientFields(request: UpdateClientRequest): object {
  const { client: given, updateMask = [] } = request;
  if (given === undefined) return request;
  const named = new Set(updateMask.includes('galleries') ? [...updateMask, 'all_galleries'] : updateMask);
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const kept = Object.entries(given).filter(([key]) => key === 'clientId' || named.has(snake(key)));
  return { ...request, client: Object.fromEntries(kept) };
}

export const revokeRules = z.object({ clientId: name, credentialId: uuid });
export const listClientsRules = z.object({
  pageSize: z.number().max(MAX_LISTED, `must be at most ${MAX_LISTED}`),
  // Checked where the token is read.
  pageToken: z.string(),
});
export const disableRules = z.object({ clientId: name, reason: remark });
