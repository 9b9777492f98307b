/** Reads the names in a faulty record, so that a report can identify it. */
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { RecordFormat } from './record-file.ts';

export interface RecordNames {
  /** Empty if missing or unreadable. */
  readonly contributor: string;
  readonly externalId: string;
}

/** Longer than any accepted name. */
const MAX_NAME = 256;
const MAX_LITERAL = 2048;
const REPLACEMENT = '�';
/** Control characters and marks that change the text direction: reports are read on terminals. */
const UNREADABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/** Field numbers in EnrollRequest and SubjectData. */
const FIELDS = { data: 1, contributor: 1, externalId: 2 } as const;

/** Names of members in JSON. */
const [CONTRIBUTOR, EXTERNAL_ID] = ['contributor', 'external_id|externalId'] as const;

export const NO_NAMES: RecordNames = { contributor: '', externalId: '' };

/** Never throws. @param record - complete, or its beginning */
export function namesIn(record: Uint8Array, format: RecordFormat): RecordNames {
  try {
    return format === 'ndjson' ? namesInLine(record) : namesInMessage(record);
  } catch {
    return NO_NAMES;
  }
}

/** A name, bounded and printable for a report. */
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
  // Show a number as written: JavaScript's numbers keep fewer digits.
  const shown = (value: unknown, name: string) =>
    typeof value === 'number' ? memberOf(text, name) : readableName(value);
  return {
    contributor: shown(contributor, CONTRIBUTOR),
    externalId: shown(snake ?? externalId, EXTERNAL_ID),
  };
}

/** The first string or number with this name in text that is not valid JSON. */
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

/** The length-delimited fields up to the first unreadable one; for each number the last. */
function fieldsOf(message: Uint8Array): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  const reader = new BinaryReader(message);
  try {
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      if (type === WireType.LengthDelimited) {
        const length = reader.uint32();
        // A truncated field keeps its existing bytes.
        fields.set(number, message.subarray(reader.pos, reader.pos + length));
        reader.pos += length;
      } else {
        reader.skip(type, number);
      }
    }
  } catch {
    // Keep the fields before the error.
  }
  return fields;
}
