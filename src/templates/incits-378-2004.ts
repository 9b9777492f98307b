import { ByteReader } from './byte-reader.ts';
import type { FingerMinutiaeRecord } from './finger-minutiae-record.ts';
import { bodyLength, readBody, writeBody } from './finger-view-codec.ts';
import { readIdentifiers, requireEnd, writeIdentifiers } from './iso-19794-2-2005.ts';
import { unnoticed, type Notice } from './sample-warnings.ts';

const LENGTH_OFFSET = 8;
/** Bytes before the capture equipment: with a length field of two bytes, and of six. */
const SHORT_HEADER_BYTES = 14;
const LONG_HEADER_BYTES = 18;
/** Maximum of two bytes. */
const MAX_SHORT_LENGTH = 0xffff;

/**
 * Reads a finger minutiae record, ANSI/INCITS 378-2004 clause 6. It differs from ISO/IEC 19794-2:2005 in its length
 * field (two bytes, or two zero bytes and four more for records of 64 KiB and longer), the product identifier of the
 * extraction software (four bytes), and the unit of angles (2°).
 * @param notice - called for each oddity
 * @throws TemplateError with the byte offset of the field at fault
 */
export function decodeIncits378(bytes: Uint8Array, notice: Notice = unnoticed): FingerMinutiaeRecord {
  const reader = new ByteReader(bytes);
  readIdentifiers(reader);
  const short = reader.u16('record length');
  const length = short === 0 ? reader.u32('record length') : short;
  const productIdentifier = reader.u32('product identifier');
  const body = readBody(reader, 180, length, notice);
  requireEnd(reader, length, LENGTH_OFFSET, body, notice);
  return { ...body.record, productIdentifier };
}

/**
 * Writes a record.
 * @throws TemplateError when the record breaks a rule of the format; RangeError when its angles are not those of INCITS
 */
export function encodeIncits378(record: FingerMinutiaeRecord): Uint8Array {
  if (record.angleUnitsPerTurn !== 180) throw new RangeError('an INCITS record counts angles in 180ths of a turn');
  const shortLength = SHORT_HEADER_BYTES + bodyLength(record);
  const headerBytes = shortLength > MAX_SHORT_LENGTH ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES;
  const bytes = new Uint8Array(headerBytes + bodyLength(record));
  writeIdentifiers(bytes);
  const out = new DataView(bytes.buffer);
  if (headerBytes === LONG_HEADER_BYTES) out.setUint32(LENGTH_OFFSET + 2, bytes.length);
  else out.setUint16(LENGTH_OFFSET, bytes.length);
  out.setUint32(headerBytes - 4, record.productIdentifier ?? 0);
  writeBody(record, bytes, headerBytes);
  decodeIncits378(bytes);
  return bytes;
}

/** The record without the bytes after its end. */
export function cutIncits378(bytes: Uint8Array, end: number): Uint8Array {
  const cut = bytes.slice(0, end);
  const out = new DataView(cut.buffer);
  if (out.getUint16(LENGTH_OFFSET) === 0) out.setUint32(LENGTH_OFFSET + 2, end);
  else out.setUint16(LENGTH_OFFSET, end);
  return cut;
}
