/**
 * Requests in protobuf's JSON form, parsed strictly. Unknown fields are refused, because a misspelt `expire_time` must
 * not create a record that never expires; repeated fields are refused, too. Field names may be in camel case or snake
 * case, numbers may be strings, bytes may use either base64 alphabet, and empty fields may be null.
 */
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { EnrollRequest } from './generated/ridgewatch/v1/gallery.ts';
import { IdentifyRequest } from './generated/ridgewatch/v1/identification.ts';
import { checkJsonText, unreadable } from './json-text.ts';
import { check } from './validation.ts';

/** Base64 length of a 64 KiB template; longer text is never decoded. */
const MAX_BASE64 = Math.ceil(65_536 / 3) * 4;
const STANDARD = /^[A-Za-z0-9+/]*(={0,2})$/;
const URL_SAFE = /^[A-Za-z0-9_-]*(={0,2})$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** Longer than any meaningful number. */
const MAX_NUMBER = 32;
const MAX_WHOLE = 0xffff_ffff;
/** Numbers without a JSON literal, written as strings. The rules of the request refuse them. */
const NOT_FINITE: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity']);
const YEAR_ZERO = /^0000/;

/** Unknown values decode to a value that the rules of the request refuse. */
const enumeration = z.union([z.string(), z.int()], 'must be the name or the number of a value in the contract');
const text = z
  .string('must be a string')
  .refine((value) => value.isWellFormed(), 'must be well-formed Unicode: it contains an unpaired surrogate');
const isNumeral = (value: unknown) => typeof value === 'string' && value.length <= MAX_NUMBER && NUMBER.test(value);
const whole = z
  .unknown()
  .superRefine((value, context) => {
    if (value === null || value === undefined) return;
    const number = typeof value === 'number' || isNumeral(value) ? Number(value) : NaN;
    const fault = !Number.isInteger(number)
      ? 'must be a whole number'
      : number < 0
        ? 'must not be negative'
        : number > MAX_WHOLE
          ? 'is too large'
          : undefined;
    if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
  })
  .optional();
const rate = z
  .unknown()
  .refine(
    (value) => (value ?? 0) === 0 || typeof value === 'number' || isNumeral(value) || NOT_FINITE.has(value as string),
    'must be a number',
  )
  .optional();
const time = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' })
  .refine((value) => !YEAR_ZERO.test(value), 'must not be before the year 1');
const base64 = text.refine((value) => value.length > MAX_BASE64 || isBase64(value), 'must be base64');
/** As in protobuf's JSON form, empty fields may be null. */
const strict = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? unknownFields(issue.keys)
        : issue.code === 'invalid_type'
          ? 'must be an object'
          : undefined,
  });

const sampleSchema = strict({
  modality: enumeration.nullish(),
  format: enumeration.nullish(),
  data: base64.nullish(),
  fingerPosition: enumeration.nullish(),
  quality: whole,
  modelId: text.nullish(),
  dimension: whole,
  captureTime: time.nullish(),
});

const samples = z.array(sampleSchema, 'must be a list of samples').nullish();
const strings = z.array(text, 'must be a list of strings').nullish();
const yesOrNo = z.boolean('must be true or false').nullish();

const handlingSchema = strict({
  code: enumeration.nullish(),
  instructions: text.nullish(),
  contact: text.nullish(),
});

const subjectSchema = strict({
  contributor: text.nullish(),
  externalId: text.nullish(),
  galleries: strings,
  caveats: strings,
  provenance: enumeration.nullish(),
  expireTime: time.nullish(),
  reviewTime: time.nullish(),
  suspended: yesOrNo,
  minorUntil: time.nullish(),
  handling: handlingSchema.nullish(),
});

const enrollSchema = strict({
  data: subjectSchema.nullish(),
  samples,
  clientRequestId: text.nullish(),
});

const identifyShape = strict({
  samples,
  galleries: strings,
  maxCandidates: whole,
  targetFpir: rate,
  maxLog10Fmr: rate,
  exact: yesOrNo,
  purpose: enumeration.nullish(),
  checkpointId: text.nullish(),
  clientRequestId: text.nullish(),
  explain: yesOrNo,
  allowPartial: yesOrNo,
  firstHit: yesOrNo,
  openCase: yesOrNo,
});
const identifySchema = identifyShape.refine(
  ({ targetFpir, maxLog10Fmr }) => (targetFpir ?? null) === null || (maxLog10Fmr ?? null) === null,
  { error: 'cannot be set together with target_fpir', path: ['maxLog10Fmr'] },
);

/** Both spellings of every field name, mapped to the one used in code. */
const FIELDS: ReadonlyMap<string, string> = new Map(
  [sampleSchema, handlingSchema, subjectSchema, enrollSchema, identifyShape].flatMap(({ shape }) =>
    Object.keys(shape).flatMap((name): [string, string][] => [
      [name, name],
      [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), name],
    ]),
  ),
);

/** @throws Failure REQUEST_UNREADABLE, REQUEST_TOO_COMPLEX, FIELD_REPEATED, DATA_TOO_LARGE, INVALID_REQUEST */
export function readEnrollRequest(bytes: Uint8Array): EnrollRequest {
  return EnrollRequest.fromJSON(read(bytes, enrollSchema));
}

/** @throws Failure REQUEST_UNREADABLE, REQUEST_TOO_COMPLEX, FIELD_REPEATED, DATA_TOO_LARGE, INVALID_REQUEST */
export function readIdentifyRequest(bytes: Uint8Array): IdentifyRequest {
  return IdentifyRequest.fromJSON(read(bytes, identifySchema));
}

function read(bytes: Uint8Array, schema: z.ZodType<{ samples?: z.output<typeof samples> }>): unknown {
  checkJsonText(bytes, fieldOf);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unreadable();
  }
  const request = withFields(json);
  check(schema, request);
  (request as z.output<typeof identifyShape>).samples?.forEach(({ data }, i) => requireSmall(data ?? '', i));
  return request;
}

function fieldOf(key: string): string {
  return FIELDS.get(key) ?? key;
}

/** Renames the fields of every object to the spelling used in code. The nesting depth was checked before. */
function withFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withFields);
  if (typeof value !== 'object' || value === null) return value;
  // `__proto__` is an unknown field that the schemas would not see.
  const pairs = Object.entries(value).map(([key, item]): [string, unknown] => [
    key === '__proto__' ? '' : fieldOf(key),
    withFields(item),
  ]);
  return Object.fromEntries(pairs);
}

function isBase64(value: string): boolean {
  const padding = (STANDARD.exec(value) ?? URL_SAFE.exec(value))?.[1];
  if (padding === undefined) return false;
  const digits = value.length - padding.length;
  return digits % 4 !== 1 && (padding === '' || value.length % 4 === 0);
}

/** Lists unknown fields, as sent. Only keys that look like field names are listed: a key may contain anything. */
function unknownFields(keys: readonly string[]): string {
  const named = keys.filter((key) => /^[A-Za-z][A-Za-z0-9_]{0,39}$/.test(key)).slice(0, 3);
  const names = named.length === 0 ? '' : `: ${named.join(', ')}${named.length < keys.length ? ', …' : ''}`;
  return `has ${keys.length === 1 ? 'an unknown field' : `${keys.length} unknown fields`}${names}`;
}

function requireSmall(data: string, index: number): void {
  if (data.length <= MAX_BASE64) return;
  throw new Failure('invalid-argument', 'DATA_TOO_LARGE', 'The template has more than 65536 bytes.', {
    field: `samples[${index}].data`,
  });
}
