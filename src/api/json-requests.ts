/**
 * Requests in the JSON form of protobuf, read strictly: a field that the contract does not have is refused, for a misspelt
 * `expire_time` must not become a record that never expires. Fields may be in camel or in snake case.
 */
import { z } from 'zod';
import { Failure } from '../failure.ts';
import { EnrollRequest } from './generated/ridgewatch/v1/gallery.ts';
import { IdentifyRequest } from './generated/ridgewatch/v1/identification.ts';
import { check } from './validation.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
/** A value that the contract does not know becomes one that the request's own rules refuse. */
const enumeration = z.union([z.string(), z.int()], 'must be a name or a number of the contract');
const text = z.string('must be a string');
const number = z.int('must be a whole number').min(0, 'must not be negative').max(0xffff_ffff, 'is too large');
const time = z.iso.datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' });
/** Empty fields may also be null, as protobuf has it. */
const strict = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.strictObject(shape, { error: (issue) => (issue.code === 'invalid_type' ? 'must be an object' : undefined) });

const sampleSchema = strict({
  modality: enumeration.nullish(),
  format: enumeration.nullish(),
  data: text.regex(BASE64, 'must be base64').nullish(),
  fingerPosition: enumeration.nullish(),
  quality: number.nullish(),
  modelId: text.nullish(),
  dimension: number.nullish(),
  captureTime: time.nullish(),
});

const samples = z.array(sampleSchema, 'must be a list of samples').nullish();
const strings = z.array(text, 'must be a list of strings').nullish();
const yesOrNo = z.boolean('must be true or false').nullish();
const rate = z.number('must be a number').nullish();

const enrollSchema = strict({
  data: strict({
    contributor: text.nullish(),
    externalId: text.nullish(),
    galleries: strings,
    caveats: strings,
    provenance: enumeration.nullish(),
    expireTime: time.nullish(),
  }).nullish(),
  samples,
  clientRequestId: text.nullish(),
});

const identifySchema = strict({
  samples,
  galleries: strings,
  maxCandidates: number.nullish(),
  targetFpir: rate,
  maxLog10Fmr: rate,
  exact: yesOrNo,
  purpose: enumeration.nullish(),
  checkpointId: text.nullish(),
  clientRequestId: text.nullish(),
  explain: yesOrNo,
  allowPartial: yesOrNo,
}).refine(
  ({ targetFpir, maxLog10Fmr }) => (targetFpir ?? undefined) === undefined || (maxLog10Fmr ?? undefined) === undefined,
  'target_fpir and max_log10_fmr exclude each other',
);

/** @throws Failure REQUEST_UNREADABLE, INVALID_REQUEST */
export function readEnrollRequest(bytes: Uint8Array): EnrollRequest {
  return EnrollRequest.fromJSON(read(bytes, enrollSchema));
}

/** @throws Failure REQUEST_UNREADABLE, INVALID_REQUEST */
export function readIdentifyRequest(bytes: Uint8Array): IdentifyRequest {
  return IdentifyRequest.fromJSON(read(bytes, identifySchema));
}

function read(bytes: Uint8Array, schema: z.ZodType): unknown {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new Failure('invalid-argument', 'REQUEST_UNREADABLE', 'It is not a JSON object in UTF-8.');
  }
  const request = inCamelCase(json);
  check(schema, request);
  return request;
}

function inCamelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inCamelCase);
  if (typeof value !== 'object' || value === null) return value;
  const pairs = Object.entries(value).map(([key, item]): [string, unknown] => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    inCamelCase(item),
  ]);
  return Object.fromEntries(pairs);
}
