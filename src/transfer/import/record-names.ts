/** What a record says of itself, as far as it can be read, whatever else is wrong with it: so that it can be found again. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { RecordFormat } from './record-file.ts';

export interface RecordNames {
  /** Empty: it says nothing, or nothing that can be read. */
  readonly contributor: string;
  readonly externalId: string;
}

/** Longer than any name that is taken. */
const MAX_NAME = 256;
const MAX_LITERAL = 2048;
const REPLACEMENT = '�';
/** Controls, and marks that turn the direction of what stands beside them: a report is read on a screen. */
const UNREADABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** Of EnrollRequest and of SubjectData. */
const FIELDS = { data: 1, contributor: 1, externalId: 2 } as const;

/** As JSON may have them. */
const [CONTRIBUTOR, EXTERNAL_ID] = ['contributor', 'external_id|externalId'] as const;

export const NO_NAMES: RecordNames = { contributor: '', externalId: '' };

/** @param record - all of it, or its beginning. Never throws. */
export function namesIn(record: Uint8Array, format: RecordFormat): RecordNames {
  try {
    return format === 'ndjson' ? namesInLine(record) : namesInMessage(record);
  } catch {
    return NO_NAMES;
  }
}

/** A name as a report shows it. */
export function readableName(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_NAME).toWellFormed().replace(UNREADABLE, REPLACEMENT) : '';
}

function namesInLine(line: Uint8Array): RecordNames {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { contributor: memberOf(text, CONTRIBUTOR), externalId: memberOf(text, EXTERNAL_ID) };
  }
  const data = (json as { data?: unknown } | null)?.data;
  if (typeof data !== 'object' || data === null) return NO_NAMES;
  const { contributor, external_id: snake, externalId } = data as Record<string, unknown>;
  // A number is shown as it is written: JavaScript's have fewer digits.
  const shown = (value: unknown, name: string) =>
    typeof value === 'number' ? memberOf(text, name) : readableName(value);
  return {
    contributor: shown(contributor, CONTRIBUTOR),
    externalId: shown(snake ?? externalId, EXTERNAL_ID),
  };
}

/** The first value under a name in a text that is not JSON as a whole: a string or a number. */
function memberOf(text: string, name: string): string {
  const pattern = `"(?:${name})"\\s{0,64}:\\s{0,64}("(?:[^"\\\\]|\\\\.){0,${MAX_LITERAL}}"|-?[0-9][0-9.eE+-]{0,31})`;
  const literal = new RegExp(pattern, 's').exec(text)?.[1];
  if (literal?.startsWith('"') !== true) return literal ?? '';
  try {
    return readableName(JSON.parse(literal));
  } catch {
    return readableName(literal.replaceAll('"', ''));
  }
}

function namesInMessage(message: Uint8Array): RecordNames {
  const data = fieldsOf(message).get(FIELDS.data);
  if (data === undefined) return NO_NAMES;
  const fields = fieldsOf(data);
  const name = (number: number) => readableName(Buffer.from(fields.get(number) ?? []).toString('utf8'));
  return { contributor: name(FIELDS.contributor), externalId: name(FIELDS.externalId) };
}

/** The fields with a length, the last of each number, up to where a message cannot be read any more. */
function fieldsOf(message: Uint8Array): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  const reader = new BinaryReader(message);
  try {
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      if (type === WireType.LengthDelimited) {
        const length = reader.uint32();
        // Of what is cut off, what is there.
        fields.set(number, message.subarray(reader.pos, reader.pos + length));
        reader.pos += length;
      } else {
        reader.skip(type, number);
      }
    }
  } catch {
    // What stands before is what there is.
  }
  return fields;
}
