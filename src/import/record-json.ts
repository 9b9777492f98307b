/** Records as lines of JSON. */
import { z } from 'zod';
import { check } from '../api/validation.ts';
import { EnrollRequest } from '../api/generated/ridgewatch/v1/gallery.ts';
import { Failure } from '../failure.ts';

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

const recordSchema = strict({
  data: strict({
    contributor: text.nullish(),
    externalId: text.nullish(),
    galleries: z.array(text, 'must be a list of strings').nullish(),
    caveats: z.array(text, 'must be a list of strings').nullish(),
    provenance: enumeration.nullish(),
    expireTime: time.nullish(),
  }).nullish(),
  samples: z.array(sampleSchema, 'must be a list of samples').nullish(),
  clientRequestId: text.nullish(),
});

/**
 * Reads a record in the JSON form of protobuf, strictly: a field that the contract does not have is refused, for a
 * misspelt `expire_time` must not become a record that never expires. Fields may be in camel or in snake case.
 * @throws Failure RECORD_UNREADABLE, INVALID_REQUEST
 */
export function readJsonRecord(line: Uint8Array): EnrollRequest {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch {
    throw new Failure('invalid-argument', 'RECORD_UNREADABLE', 'The line is not a JSON object in UTF-8.');
  }
  const record = inCamelCase(json);
  check(recordSchema, record);
  return EnrollRequest.fromJSON(record);
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
