/**
 * Schemas with the rules for every request, checked before any other work. They implement what the comments of the
 * contract promise. Rules on the content of templates are checked by the codecs.
 */
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { MAX_CASE_CANDIDATES } from '../sharing/cases/case.ts';
import { Provenance } from './generated/ridgewatch/v1/gallery.ts';
import { HandlingCode } from './generated/ridgewatch/v1/handling.ts';
import { Purpose } from './generated/ridgewatch/v1/identification.ts';
import { identifier, optionalText, remark } from './text-rules.ts';
import { MAX_ENROLLED_SAMPLES, MAX_NAMES, MAX_PROBE_SAMPLES, MAX_UPDATE_PATHS } from './wire-limits.ts';

export const MAX_CANDIDATES = 500;
export const MAX_LISTED = 1000;
/** Subjects that one call of FindDuplicates covers, and similar subjects of each. */
const MAX_COVERED = 1000;
const MAX_DUPLICATES = 50;

const optionalName = z
  .string()
  .max(64, 'must have at most 64 characters')
  .regex(/^[A-Za-z0-9._:-]*$/, "may contain only A-Z, a-z, 0-9, '.', '_', ':' and '-'");
export const name = optionalName.min(1, 'is required');
export const uuid = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'must be a UUID in lower case');

/** Every violation gets the same sentence, which states the whole range. */
function numberWithin(least: number, most: number) {
  const sentence = `must be a number from ${least} to ${most}`;
  return z.number(sentence).min(least, sentence).max(most, sentence);
}

function wholeNumberTo(most: number) {
  const sentence = `must be a whole number from 0 to ${most}`;
  return z.number(sentence).int(sentence).min(0, sentence).max(most, sentence);
}

/** Only the number of samples is checked here; each sample is checked when it is decoded. */
function samples(most: number) {
  return z.array(z.unknown()).min(1, 'needs at least one sample').max(most, `must have at most ${most} samples`);
}

const names = z
  .array(name)
  .max(MAX_NAMES, `must have at most ${MAX_NAMES} names`)
  .refine((list) => new Set(list).size === list.length, 'contains the same name twice');

const purpose = z
  .number()
  .refine((value) => value !== Purpose.UNSPECIFIED, 'is required')
  .refine((value) => value === 0 || knows(Purpose, value), 'is not a known purpose');

const threshold = z
  .discriminatedUnion('$case', [
    z.object({ $case: z.literal('targetFpir'), value: numberWithin(1e-9, 0.5) }),
    z.object({ $case: z.literal('maxLog10Fmr'), value: numberWithin(-12, 0) }),
  ])
  .optional();

export const identifyRules = z
  .object({
    samples: samples(MAX_PROBE_SAMPLES),
    galleries: names,
    maxCandidates: wholeNumberTo(MAX_CANDIDATES),
    threshold,
    purpose,
    checkpointId: name,
    clientRequestId: optionalName,
    exact: z.boolean().optional(),
    firstHit: z.boolean().optional(),
    openCase: z.boolean().optional(),
  })
  .refine(({ exact, firstHit }) => !(exact === true && firstHit === true), {
    error: 'cannot be set together with exact: an early answer comes from an index',
    path: ['firstHit'],
  })
  .refine(({ openCase, maxCandidates }) => !(openCase === true && maxCandidates > MAX_CASE_CANDIDATES), {
    error: `must be at most ${MAX_CASE_CANDIDATES} together with open_case`,
    path: ['maxCandidates'],
  });

export const verifyRules = z.object({
  samples: samples(MAX_PROBE_SAMPLES),
  claim: z.discriminatedUnion(
    '$case',
    [
      z.object({ $case: z.literal('subjectId'), value: uuid }),
      z.object({ $case: z.literal('referenceSamples'), value: z.object({ samples: samples(MAX_PROBE_SAMPLES) }) }),
    ],
    `is required: subject_id, or reference_samples with 1 to ${MAX_PROBE_SAMPLES} samples`,
  ),
  purpose,
  checkpointId: name,
  clientRequestId: optionalName,
});

/** Earlier dates come from missing or misread values. */
const EARLIEST_TIME = new Date('1900-01-01T00:00:00Z');
/** The last time that all time formats can represent. */
const LATEST_TIME = new Date('9999-12-31T23:59:59.999Z');

const time = z
  .date('must be a valid time')
  .min(EARLIEST_TIME, 'must not be before the year 1900')
  .max(LATEST_TIME, 'must not be after the year 9999');

const provenance = z.number().refine((value) => knows(Provenance, value), 'is not a known provenance');
const caveats = z
  .array(z.string().regex(/^[A-Z0-9_-]{1,32}$/, 'must be 1 to 32 characters of A-Z, 0-9, _ and -'))
  .max(MAX_NAMES, `must have at most ${MAX_NAMES} codes`)
  .refine((list) => new Set(list).size === list.length, 'contains the same code twice');
const handling = z.object({
  code: z
    .number()
    .refine((value) => value !== HandlingCode.UNSPECIFIED, 'is required')
    .refine((value) => value === 0 || knows(HandlingCode, value), 'is not a known code'),
  instructions: optionalText(1000),
  contact: optionalText(200),
});
const subjectData = z.object({
  contributor: name,
  externalId: identifier,
  galleries: names.min(1, 'needs at least one gallery'),
  caveats,
  provenance,
  expireTime: time.optional(),
  reviewTime: time.optional(),
  suspended: z.boolean(),
  minorUntil: time.optional(),
  handling: handling.optional(),
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
  'data.review_time',
  'data.suspended',
  'data.minor_until',
  'data.handling',
  'samples',
] as const;

export const updateRules = z
  .object({
    subjectId: uuid,
    expectedVersion: wholeNumberTo(Number.MAX_SAFE_INTEGER),
    updateMask: z
      .array(z.enum(PATHS, `must be one of ${PATHS.join(', ')}`), 'is required: it must name at least one field')
      .min(1, 'must name at least one field')
      .max(MAX_UPDATE_PATHS, `must name at most ${MAX_UPDATE_PATHS} fields`),
    data: subjectData.partial().optional(),
    samples: z.array(z.unknown()).max(MAX_ENROLLED_SAMPLES, `must have at most ${MAX_ENROLLED_SAMPLES} samples`),
  })
  .superRefine(({ updateMask, data, samples: given }, context) => {
    const issue = (field: string, message: string) => context.addIssue({ code: 'custom', path: [field], message });
    if (updateMask.includes('samples') && given.length === 0) issue('samples', 'needs at least one sample');
    if (!updateMask.includes('samples') && given.length > 0)
      issue('samples', 'was sent but is not named in update_mask');
    if (updateMask.some((path) => path.startsWith('data.')) && data === undefined) issue('data', 'is required');
  });

/** Keeps only the fields of `data` named in the mask: UpdateSubject ignores the others. */
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
export const approveExpungeRules = z.object({ proposalId: uuid });
export const listProposalsRules = z.object({
  pageSize: wholeNumberTo(MAX_LISTED),
  afterProposalId: uuid.or(z.literal('')),
});
export const historyRules = z.object({
  subjectId: uuid,
  pageSize: wholeNumberTo(MAX_LISTED),
  afterGalleryVersion: wholeNumberTo(Number.MAX_SAFE_INTEGER),
});
export const duplicateRules = z.object({
  galleries: names,
  afterSubjectId: uuid.or(z.literal('')),
  maxSubjects: wholeNumberTo(MAX_COVERED),
  maxDuplicates: wholeNumberTo(MAX_DUPLICATES),
  threshold,
});
export const listRules = z.object({
  gallery: optionalName,
  contributor: optionalName,
  pageSize: wholeNumberTo(MAX_LISTED),
  // Checked where the token is read.
  pageToken: z.string(),
});

/** Number of faults listed in the sentence. The status counts the rest. */
const MAX_NAMED_FAULTS = 16;

/**
 * Checks a request against its rules.
 * @throws Failure INVALID_REQUEST that names every invalid field
 */
export function check(rules: z.ZodType, request: unknown): void {
  const result = rules.safeParse(request, { error: inOwnWords });
  if (result.success) return;
  const violations = result.error.issues.map(({ path, message }) => ({
    field: fieldPath(path, request),
    description: message,
  }));
  const named = violations.slice(0, MAX_NAMED_FAULTS);
  const sentence = named.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new Failure('invalid-argument', 'INVALID_REQUEST', sentence, { violations });
}

/** Sentences for rules without one. The library's own sentences name types that clients do not know. */
function inOwnWords({ code, input }: { readonly code?: string; readonly input: unknown }): string {
  if (input === undefined) return 'is required';
  return code === 'invalid_type' ? 'has the wrong type' : 'is not a value of the contract';
}

/**
 * Path of a fault in the contract's notation: `['samples', 0, 'fingerPosition']` becomes `samples[0].finger_position`.
 * A oneof is replaced by the member that is set, and the list of a field mask gets its name in the contract.
 */
function fieldPath(path: readonly PropertyKey[], request: unknown): string {
  const parts: string[] = [];
  let value = request;
  for (const part of path) {
    const member = memberOf(value);
    if (typeof part === 'number') parts.push(`${parts.pop() ?? ''}[${part}]`);
    else if (member !== undefined && part === 'value') parts.splice(-1, 1, toSnake(member));
    else if (part !== '$case') parts.push(toSnake(String(part)));
    value = (value as Readonly<Record<PropertyKey, unknown>> | undefined)?.[part];
    if (part === 'updateMask' && path.length > 1) parts.push('paths');
  }
  return parts.length === 0 ? 'request' : parts.join('.');
}

/** Name of the set member of a oneof; undefined for other values. */
function memberOf(value: unknown): string | undefined {
  const member = typeof value === 'object' && value !== null && '$case' in value ? value.$case : undefined;
  return typeof member === 'string' ? member : undefined;
}

function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Whether a wire value belongs to an enumeration. UNRECOGNIZED does not. */
export function knows(enumeration: Readonly<Record<string, number>>, value: number): boolean {
  return value >= 0 && Object.values(enumeration).includes(value);
}
