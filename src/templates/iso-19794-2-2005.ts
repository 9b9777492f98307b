import { ByteReader } from './byte-reader.ts';
import type { FingerMinutiaeRecord } from './finger-minutiae-record.ts';
import { bodyLength, readBody, writeBody, type ReadBody } from './finger-view-codec.ts';
import { nameOfData, refusalOfVersion } from './other-formats.ts';
import { unnoticed, type Notice } from './sample-warnings.ts';

/** 'FMR\0' and ' 20\0' (ISO/IEC 19794-2:2005 7.3.1, 7.3.2). */
export const FORMAT_IDENTIFIER = 0x464d5200;
export const VERSION_NUMBER = 0x20323000;
const HEADER_BYTES = 12;
const LENGTH_OFFSET = HEADER_BYTES - 4;

/**
 * Reads a finger minutiae record, ISO/IEC 19794-2:2005 clause 7 (record format), with all its views.
 *
 * Only zeros may follow its last view. The length field must give the end of the record or of the data, with one
 * exception: in a record with extended data it may be one short. The standard's own worked example is (annex C.2: 340
 * for 341 bytes), and some writers were tested against it.
 * @param notice - called for each oddity
 * @throws TemplateError with the byte offset of the field at fault
 */
export function decodeIso197942(bytes: Uint8Array, notice: Notice = unnoticed): FingerMinutiaeRecord {
  const reader = new ByteReader(bytes);
  readIdentifiers(reader);
  const length = reader.u32('record length');
  const body = readBody(reader, 256, length, notice);
  requireEnd(reader, length, LENGTH_OFFSET, body, notice);
  return body.record;
}

/** Format identifier and version number, common to ISO and INCITS records. */
export function readIdentifiers(reader: ByteReader): void {
  const start = reader.peek(16);
  const identifier = reader.u32('format identifier');
  if (identifier !== FORMAT_IDENTIFIER) {
    const name = nameOfData(start);
    const instead = name === undefined ? '' : `: it is ${name}`;
    reader.require(false, 'NOT_A_MINUTIAE_RECORD', 0, `The data does not start with 'FMR'${instead}`);
  }
  const version = reader.u32('version number');
  reader.require(version === VERSION_NUMBER, 'VERSION_UNSUPPORTED', 4, refusalOfVersion(start));
}

/** The record must end at the end of its data, except for padding, and its length field must agree. */
export function requireEnd(
  reader: ByteReader,
  statedLength: number,
  lengthOffset: number,
  { endsWithBlock, record }: ReadBody,
  notice: Notice,
): void {
  const end = reader.offset;
  reader.require(reader.isZeroFrom(end), 'TRAILING_BYTES', end, 'The data goes on after the last view');
  const hasExtendedData = endsWithBlock || record.views.some(({ extendedData }) => extendedData.length > 0);
  const agrees =
    statedLength === end || statedLength === reader.length || (hasExtendedData && statedLength === end - 1);
  reader.require(
    agrees,
    'LENGTH_MISMATCH',
    lengthOffset,
    'The length field does not agree with the length of the data',
  );
  if (end < reader.length) notice('PADDED', end);
}

/**
 * Writes a record.
 * @throws TemplateError when the record breaks a rule of the format; RangeError when its angles are not ISO's
 */
export function encodeIso197942(record: FingerMinutiaeRecord): Uint8Array {
  if (record.angleUnitsPerTurn !== 256) throw new RangeError('an ISO record counts angles in 256ths of a turn');
  const bytes = new Uint8Array(HEADER_BYTES + bodyLength(record));
  writeIdentifiers(bytes);
  new DataView(bytes.buffer).setUint32(LENGTH_OFFSET, bytes.length);
  writeBody(record, bytes, HEADER_BYTES);
  decodeIso197942(bytes);
  return bytes;
}

/** Format identifier and version number. */
export function writeIdentifiers(bytes: Uint8Array): void {
  const out = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  out.setUint32(0, FORMAT_IDENTIFIER);
  out.setUint32(4, VERSION_NUMBER);
}

/** The record without the bytes after its end. */
export function cutIso197942(bytes: Uint8Array, end: number): Uint8Array {
  const cut = bytes.slice(0, end);
  new DataView(cut.buffer).setUint32(LENGTH_OFFSET, end);
  return cut;
}
