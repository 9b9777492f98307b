import { ByteReader } from './byte-reader.ts';
import type { FingerMinutiaeRecord } from './finger-minutiae-record.ts';
import { readBody } from './finger-view-codec.ts';
import { readIdentifiers, requireEnd } from './iso-19794-2-2005.ts';

const LENGTH_OFFSET = 8;

/**
 * Reads a finger minutiae record, ANSI/INCITS 378-2004 clause 6. It differs from ISO/IEC 19794-2:2005 in its length
 * field (two bytes, or two zero bytes and four more for records of 64 KiB and longer), the product identifier of the
 * extraction software (four bytes, kept by nobody here) and the unit of angles (2°).
 * @throws TemplateError with the byte offset of the field at fault
 */
export function decodeIncits378(bytes: Uint8Array): FingerMinutiaeRecord {
  const reader = new ByteReader(bytes);
  readIdentifiers(reader);
  const short = reader.u16('record length');
  const length = short === 0 ? reader.u32('record length') : short;
  reader.u32('product identifier');
  const record = readBody(reader, 180);
  requireEnd(reader, length, LENGTH_OFFSET, record);
  return record;
}
