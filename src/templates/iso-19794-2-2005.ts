import { ByteReader } from './byte-reader.ts';
import type { FingerMinutiaeRecord } from './finger-minutiae-record.ts';
import { bodyLength, readBody, writeBody } from './finger-view-codec.ts';

/** 'FMR\0' and ' 20\0' (ISO/IEC 19794-2:2005 7.3.1, 7.3.2). */
export const FORMAT_IDENTIFIER = 0x464d5200;
export const VERSION_NUMBER = 0x20323000;
const HEADER_BYTES = 12;

/**
 * Reads a finger minutiae record, ISO/IEC 19794-2:2005 clause 7 (record format), every view of it.
 *
 * The record must end where its last view ends. The length field must say the same, with one exception: it may be one
 * short in a record with extended data, because the standard's own worked example (annex C.2: 340 for 341 bytes) is,
 * and there are writers that were tested against it.
 * @throws TemplateError with the byte offset of the field at fault
 */
export function decodeIso197942(bytes: Uint8Array): FingerMinutiaeRecord {
  const reader = new ByteReader(bytes);
  readIdentifiers(reader);
  const length = reader.u32('record length');
  const record = readBody(reader, 256);
  requireEnd(reader, length, HEADER_BYTES - 4, record);
  return record;
}

/** Format identifier and version number, which ISO and INCITS records share. */
export function readIdentifiers(reader: ByteReader): void {
  const identifier = reader.u32('format identifier');
  reader.require(identifier === FORMAT_IDENTIFIER, 'NOT_A_MINUTIAE_RECORD', 0, "The data does not start with 'FMR'");
  const version = reader.u32('version number');
  reader.require(version === VERSION_NUMBER, 'VERSION_UNSUPPORTED', 4, "The version of the record is not ' 20'");
}

/** The record must end with its bytes, and its length field must agree. */
export function requireEnd(
  reader: ByteReader,
  statedLength: number,
  lengthOffset: number,
  record: FingerMinutiaeRecord,
): void {
  const trailing = 'The data goes on after the last view';
  reader.require(reader.offset === reader.length, 'TRAILING_BYTES', reader.offset, trailing);
  const hasExtendedData = record.views.some(({ extendedData }) => extendedData.length > 0);
  const agrees = statedLength === reader.length || (hasExtendedData && statedLength === reader.length - 1);
  reader.require(
    agrees,
    'LENGTH_MISMATCH',
    lengthOffset,
    'The length field does not agree with the length of the data',
  );
}

/**
 * Writes a record.
 * @throws TemplateError when the record breaks a rule of the format; RangeError when its angles are not ISO's
 */
export function encodeIso197942(record: FingerMinutiaeRecord): Uint8Array {
  if (record.angleUnitsPerTurn !== 256) throw new RangeError('an ISO record counts angles in 256ths of a turn');
  const bytes = new Uint8Array(HEADER_BYTES + bodyLength(record));
  const out = new DataView(bytes.buffer);
  out.setUint32(0, FORMAT_IDENTIFIER);
  out.setUint32(4, VERSION_NUMBER);
  out.setUint32(8, bytes.length);
  writeBody(record, bytes, HEADER_BYTES);
  decodeIso197942(bytes);
  return bytes;
}
