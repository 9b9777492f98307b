/**
 * The part that ISO/IEC 19794-2:2005 (7.3.8 on) and ANSI/INCITS 378-2004 (6.4.8 on) records share: everything from the
 * capture equipment to the last view. They differ in front of it (length, product id) and in the unit of angles.
 */
import type { ByteReader } from './byte-reader.ts';
import type { ExtendedData, FingerMinutiaeRecord, FingerView, RecordMinutia } from './finger-minutiae-record.ts';
import type { FingerPosition, MinutiaType } from './finger-template.ts';

/** Bytes of a minutia. */
const MINUTIA_BYTES = 6;
/** Coordinates have fourteen bits. */
const COORDINATE_MASK = 0x3fff;
const IMPRESSION_TYPES = new Set([0, 1, 2, 3, 8]);

/** Reads from the capture equipment to the last view. */
export function readBody(reader: ByteReader, angleUnitsPerTurn: 256 | 180): FingerMinutiaeRecord {
  const captureEquipment = reader.u16('capture equipment');
  const imageWidth = readSize(reader, 'image width');
  const imageHeight = readSize(reader, 'image height');
  const xResolution = readResolution(reader, imageWidth, 'horizontal resolution');
  const yResolution = readResolution(reader, imageHeight, 'vertical resolution');
  const viewCount = reader.u8('number of views');
  reader.require(viewCount > 0, 'NO_VIEWS', reader.offset - 1, 'The record holds no finger view');
  const reserved = reader.u8('reserved byte');
  reader.require(reserved === 0, 'RESERVED_NOT_ZERO', reader.offset - 1, 'The reserved byte of the header is not zero');
  const frame = { imageWidth, imageHeight, angleUnitsPerTurn };
  const views = Array.from({ length: viewCount }, () => readView(reader, frame));
  return { captureEquipment, imageWidth, imageHeight, xResolution, yResolution, angleUnitsPerTurn, views };
}

function readSize(reader: ByteReader, what: string): number {
  const size = reader.u16(what);
  const fits = size > 0 && size <= COORDINATE_MASK + 1;
  reader.require(fits, 'IMAGE_SIZE_INVALID', reader.offset - 2, `The ${what} is not 1 to 16384`);
  return size;
}

/** No hand is wider than this, so no image of one is, in centimetres. */
const LARGEST_IMAGE = 40;

function readResolution(reader: ByteReader, size: number, what: string): number {
  const at = reader.offset;
  const resolution = reader.u16(what);
  reader.require(resolution > 0, 'RESOLUTION_INVALID', at, `The ${what} is zero`);
  const fits = size / resolution <= LARGEST_IMAGE;
  reader.require(fits, 'IMAGE_TOO_LARGE', at, `At this ${what} the image is more than ${LARGEST_IMAGE} cm long`);
  return resolution;
}

type Frame = Pick<FingerMinutiaeRecord, 'imageWidth' | 'imageHeight' | 'angleUnitsPerTurn'>;

function readView(reader: ByteReader, frame: Frame): FingerView {
  const position = reader.u8('finger position');
  reader.require(position <= 10, 'FINGER_POSITION_INVALID', reader.offset - 1, 'The finger position is not 0 to 10');
  const numberAndImpression = reader.u8('impression type');
  const impressionType = numberAndImpression & 15;
  const known = IMPRESSION_TYPES.has(impressionType);
  reader.require(known, 'IMPRESSION_TYPE_INVALID', reader.offset - 1, 'The impression type is not one of the standard');
  const quality = reader.u8('finger quality');
  reader.require(quality <= 100, 'QUALITY_INVALID', reader.offset - 1, 'The finger quality is above 100');
  const count = reader.u8('number of minutiae');
  const minutiae = Array.from({ length: count }, () => readMinutia(reader, frame));
  const extendedData = readExtendedData(reader);
  const viewNumber = numberAndImpression >> 4;
  return { position: position as FingerPosition, viewNumber, impressionType, quality, minutiae, extendedData };
}

function readMinutia(reader: ByteReader, frame: Frame): RecordMinutia {
  const at = reader.offset;
  const typeAndX = reader.u16('minutia');
  const type = typeAndX >> 14;
  reader.require(type !== 3, 'MINUTIA_TYPE_INVALID', at, 'The minutia type is not one of the standard');
  const x = typeAndX & COORDINATE_MASK;
  reader.require(x < frame.imageWidth, 'MINUTIA_OUTSIDE_IMAGE', at, 'The minutia lies to the right of the image');
  const reservedAndY = reader.u16('minutia');
  reader.require(
    reservedAndY >> 14 === 0,
    'RESERVED_NOT_ZERO',
    at + 2,
    'The reserved bits of the minutia are not zero',
  );
  const y = reservedAndY & COORDINATE_MASK;
  reader.require(y < frame.imageHeight, 'MINUTIA_OUTSIDE_IMAGE', at + 2, 'The minutia lies below the image');
  const angle = reader.u8('minutia');
  reader.require(angle < frame.angleUnitsPerTurn, 'ANGLE_INVALID', at + 4, 'The minutia angle is a full turn or more');
  const quality = reader.u8('minutia');
  reader.require(quality <= 100, 'QUALITY_INVALID', at + 5, 'The minutia quality is above 100');
  return { type: type as MinutiaType, x, y, angle, quality };
}

function readExtendedData(reader: ByteReader): ExtendedData[] {
  const blockLength = reader.u16('extended data length');
  const end = reader.offset + blockLength;
  const areas: ExtendedData[] = [];
  while (reader.offset < end) {
    const at = reader.offset;
    const type = reader.u16('extended data type');
    const length = reader.u16('extended data area length');
    const fits = length >= 4 && at + length <= end;
    reader.require(fits, 'EXTENDED_DATA_INVALID', at + 2, 'The length of an extended data area does not fit its block');
    areas.push({ type, data: reader.bytes(length - 4, 'extended data area') });
  }
  reader.require(reader.offset === end, 'EXTENDED_DATA_INVALID', end, 'The extended data block ends within an area');
  return areas;
}

/** Bytes that `writeBody` needs. */
export function bodyLength(record: FingerMinutiaeRecord): number {
  const views = record.views.map(
    ({ minutiae, extendedData }) => 6 + MINUTIA_BYTES * minutiae.length + extendedLength(extendedData),
  );
  return 12 + views.reduce((sum, length) => sum + length, 0);
}

function extendedLength(areas: readonly ExtendedData[]): number {
  return areas.reduce((sum, { data }) => sum + 4 + data.length, 0);
}

/**
 * Writes what `readBody` reads. The record must be one that `readBody` would accept: the codecs read back what they
 * wrote to make sure of it.
 */
export function writeBody(record: FingerMinutiaeRecord, bytes: Uint8Array, start: number): void {
  const out = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = start;
  const u8 = (value: number) => out.setUint8(at++, value);
  const u16 = (value: number) => {
    out.setUint16(at, value);
    at += 2;
  };
  u16(record.captureEquipment);
  for (const size of [record.imageWidth, record.imageHeight, record.xResolution, record.yResolution]) u16(size);
  u8(record.views.length);
  u8(0);
  for (const view of record.views) {
    u8(view.position);
    u8((view.viewNumber << 4) | view.impressionType);
    u8(view.quality);
    u8(view.minutiae.length);
    for (const { type, x, y, angle, quality } of view.minutiae) {
      u16((type << 14) | x);
      u16(y);
      u8(angle);
      u8(quality);
    }
    u16(extendedLength(view.extendedData));
    for (const { type, data } of view.extendedData) {
      u16(type);
      u16(4 + data.length);
      bytes.set(data, at);
      at += data.length;
    }
  }
}
