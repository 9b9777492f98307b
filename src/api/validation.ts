/**
 * The rules that every request must meet before anything is done with it, as schemas. They repeat what the contract's
 * comments promise; what only a codec can tell (the content of a template) is checked where templates are decoded.
 */
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { Provenance } from './generated/ridgewatch/v1/gallery.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import { identifier, remark } from './text-rules.ts';
import { MAX_ENROLLED_SAMPLES, MAX_NAMES, MAX_PROBE_SAMPLES, MAX_UPDATE_PATHS } from './wire-limits.ts';

export const MOST_CANDIDATES = 500;
export const MOST_LISTED = 1000;

const NAME = /^[A-Za-z0-9._:-]+$/;
const name = z
  .string()
  .min(1, 'is required')
  .max(64, 'must have at most 64 characters')
  .regex(NAME, "may hold A-Z, a-z, 0-9, '.', '_', ':' and '-' only");
const optionalName = z.union([z.literal(''), name]);
const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be a UUID in lower case');
const wholeNumber = z.number().int().nonnegative();

/** Samples are looked at one by one later; here only how many there are. */
function samples(most: number) {
  return z.array(z.unknown()).min(1, 'needs at least one sample').max(most, `must have at most ${most} samples`);
}

const names = z
  .array(name)
  .max(MAX_NAMES, `must have at most ${MAX_NAMES} names`)
  .refine((list) => new Set(list).size === list.length, 'names the same thing twice');

const purpose = z
  .number()
  .refine((value) => value !== Purpose.UNSPECIFIED, 'is required')
  .refine((value) => value === 0 || knows(Purpose, value), 'is not a known purpose');

const threshold = z
  .union([
    z.object({ $case: z.literal('targetFpir'), value: z.number().min(1e-9).max(0.5) }),
    z.object({ $case: z.literal('maxLog10Fmr'), value: z.number().min(-12).max(0) }),
  ])
  .optional();

export const identifyRules = z.object({
  samples: samples(MAX_PROBE_SAMPLES),
  galleries: names,
  maxCandidates: wholeNumber.max(MOST_CANDIDATES, `must be at most ${MOST_CANDIDATES}`),
  threshold,
  purpose,
  checkpointId: name,
  clientRequestId: optionalName,
});

export const verifyRules = z.object({
  samples: samples(MAX_PROBE_SAMPLES),
  claim: z.union(
    [
      z.object({ $case: z.literal('subjectId'), value: uuid }),
      z.object({ $case: z.literal('referenceSamples'), value: z.object({ samples: samples(MAX_PROBE_SAMPLES) }) }),
    ],
    'must name a subject (UUID in lower case) or hold 1 to 16 reference samples',
  ),
  purpose,
  checkpointId: name,
  clientRequestId: optionalName,
});

/** The times that every notation of a time can tell. */
const EARLIEST_TIME = new Date('0001-01-01T00:00:00Z');
const LATEST_TIME = new Date('9999-12-31T23:59:59.999Z');

const time = z
  .date('must be a valid time')
  .min(EARLIEST_TIME, 'must not lie before the year 1')
  .max(LATEST_TIME, 'must not lie after the year 9999');

const provenance = z.number().refine((value) => knows(Provenance, value), 'is not a known provenance');
const caveats = z
  .array(z.string().regex(/^[A-Z0-9_-]{1,32}$/, 'must be 1 to 32 characters of A-Z, 0-9, _ and -'))
  .max(MAX_NAMES, `must have at most ${MAX_NAMES} codes`)
  .refine((list) => new Set(list).size === list.length, 'names the same code twice');
const subjectData = z.object({
  contributor: name,
  externalId: identifier,
  galleries: names.min(1, 'needs at least one gallery'),
  caveats,
  provenance,
  expireTime: time.optional(),
});

export const enrollRules = z.object({
  data: subjectData,
  samples: samples(MAX_ENROLLED_SAMPLES),
  clientRequestId: optionalName,
});

/** Fields that UpdateSubject can change. */
const PATHS = [
  'data.external_id',
  'data.galleries',
  'data.caveats',
  'data.provenance',
  'data.expire_time',
  'samples',
] as const;

export const updateRules = z
  .object({
    subjectId: uuid,
    expectedVersion: wholeNumber,
    updateMask: z
      .array(z.enum(PATHS, `must be one of ${PATHS.join(', ')}`), 'is required')
      .min(1, 'must name at least one field')
      .max(MAX_UPDATE_PATHS, `must name at most ${MAX_UPDATE_PATHS} fields`),
    data: subjectData.partial().optional(),
    samples: z.array(z.unknown()).max(MAX_ENROLLED_SAMPLES, `must have at most ${MAX_ENROLLED_SAMPLES} samples`),
  })
  .superRefine(({ updateMask, data, samples: given }, context) => {
    const issue = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (updateMask.includes('samples') && given.length === 0) issue('samples', 'needs at least one sample');
    if (!updateMask.includes('samples') && given.length > 0) issue('samples', 'was sent but not named in update_mask');
    if (updateMask.some((path) => path.startsWith('data.')) && data === undefined) issue('data', 'is required');
  });

/** UpdateSubject looks only at the named fields of `data`; the others may hold anything. */
export function onlyNamedFields<T extends { data?: object | undefined; updateMask?: string[] | undefined }>(
  request: T,
): T {
  if (request.data === undefined) return request;
  const named = new Set((request.updateMask ?? []).map((path) => path.replace(/^data\./, '')));
  const data = Object.fromEntries(Object.entries(request.data).filter(([key]) => named.has(toSnake(key))));
  return { ...request, data };
}

export const subjectIdRules = z.object({ subjectId: uuid });
export const expungeRules = z.object({
  subjectId: uuid,
  reason: remark,
});
export const listRules = z.object({
  gallery: optionalName,
  contributor: optionalName,
  pageSize: wholeNumber.max(MOST_LISTED, `must be at most ${MOST_LISTED}`),
  pageToken: z.string().max(256, 'was not made by this service'),
});

/** Faults that the sentence names. The status says how many more there are. */
const MAX_NAMED_FAULTS = 16;

/**
 * Checks a request against its rules.
 * @throws Failure INVALID_REQUEST that names every field at fault
 */
export function check(rules: z.ZodType, request: unknown): void {
  const result = rules.safeParse(request);
  if (result.success) return;
  const violations = result.error.issues.map(({ path, message }) => ({ field: fieldPath(path), description: message }));
  const named = violations.slice(0, MAX_NAMED_FAULTS);
  const sentence = named.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new Failure('invalid-argument', 'INVALID_REQUEST', sentence, { violations });
}

/** `['samples', 0, 'fingerPosition']` as the contract writes it: `samples[0].finger_position`. */
function fieldPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    // The wrapper of a oneof is not part of the contract.
    else if (part !== '$case' && part !== 'value') text += `${text === '' ? '' : '.'}${toSnake(String(part))}`;
  }
  return text === '' ? 'request' : text;
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Whether a wire value is one of an enumeration's; UNRECOGNIZED is none. */
export function knows(enumeration: Readonly<Record<string, number>>, value: number): boolean {
  return value >= 0 && Object.values(enumeration).includes(value);
}
