/**
 * The common part of ISO/IEC 19794-2:2005 (from 7.3.8) and ANSI/INCITS 378-2004 (from 6.4.8) records: from the capture
 * equipment to the last view. The records differ before it (length, product id) and in the unit of angles.
 */
import type { ByteReader } from './byte-reader.ts';
import { extendedLength, readExtendedBlock, type AreaFrame } from './extended-data.ts';
import type { FingerMinutiaeRecord, FingerView, RecordMinutia } from './finger-minutiae-record.ts';
import type { FingerPosition, MinutiaType } from './finger-template.ts';
import type { Notice } from './sample-warnings.ts';
import { judgeViewNumbers, judgeViews } from './view-judgement.ts';

/** Bytes of a minutia. */
const MINUTIA_BYTES = 6;
/** Coordinates have fourteen bits. */
const COORDINATE_MASK = 0x3fff;
const IMPRESSION_TYPES = new Set([0, 1, 2, 3, 8, 9]);
/** NIST SP 800-76: quality was not determined, or determining it failed. */
const UNSTATED_QUALITIES = new Set([254, 255]);

/** A record, and what the check of its end needs. */
export interface ReadBody {
  readonly record: FingerMinutiaeRecord;
  /** Whether the last view has an extended data block. */
  readonly endsWithBlock: boolean;
}

/**
 * Reads from the capture equipment to the last view.
 * @param statedLength - the record's length field
 */
export function readBody(
  reader: ByteReader,
  angleUnitsPerTurn: 256 | 180,
  statedLength: number,
  notice: Notice,
): ReadBody {
  const captureEquipment = reader.u16('capture equipment');
  const imageWidth = readSize(reader, 'image width');
  const imageHeight = readSize(reader, 'image height');
  const resolutionAt = reader.offset;
  const xResolution = readResolution(reader, imageWidth, 'horizontal resolution', notice);
  const yResolution = readResolution(reader, imageHeight, 'vertical resolution', notice);
  const viewCount = reader.u8('number of views');
  reader.require(viewCount > 0, 'NO_VIEWS', reader.offset - 1, 'The record holds no finger view');
  const reserved = reader.u8('reserved byte');
  reader.require(reserved === 0, 'RESERVED_NOT_ZERO', reader.offset - 1, 'The reserved byte of the header is not zero');
  const frame = { imageWidth, imageHeight, angleUnitsPerTurn };
  const recordEnd = endOf(reader, statedLength);
  let endsWithBlock = false;
  const viewsAt: number[] = [];
  const views = Array.from({ length: viewCount }, (_, viewIndex) => {
    const isLast = viewIndex === viewCount - 1;
    viewsAt.push(reader.offset);
    const { view, hasBlock } = readView(reader, frame, viewIndex, isLast ? recordEnd : undefined, notice);
    endsWithBlock = hasBlock;
    return view;
  });
  const record = { captureEquipment, imageWidth, imageHeight, xResolution, yResolution, angleUnitsPerTurn, views };
  judgeViewNumbers(views, viewsAt, notice);
  judgeViews(record, viewsAt, resolutionAt, notice);
  return { record, endsWithBlock };
}

/** End of the record by its length field, if only padding follows. */
function endOf(reader: ByteReader, statedLength: number): number | undefined {
  return reader.isZeroFrom(statedLength) ? statedLength : undefined;
}

function readSize(reader: ByteReader, what: string): number {
  const size = reader.u16(what);
  const fits = size > 0 && size <= COORDINATE_MASK + 1;
  reader.require(fits, 'IMAGE_SIZE_INVALID', reader.offset - 2, `The ${what} is not 1 to 16384`);
  return size;
}

/** Images are no wider than a hand, in centimetres. */
const MAX_IMAGE_CM = 40;
/** No sensor of comparable prints is narrower: the smallest that make records are 0.8 cm wide. */
const MIN_IMAGE_CM = 0.7;
/** 250 dpi, the standards' minimum, and 1,000 dpi, rounded up; in pixels per centimetre. */
const MIN_USUAL_RESOLUTION = 98;
const MAX_USUAL_RESOLUTION = 400;

function readResolution(reader: ByteReader, size: number, what: string, notice: Notice): number {
  const at = reader.offset;
  const resolution = reader.u16(what);
  reader.require(resolution > 0, 'RESOLUTION_INVALID', at, `The ${what} is zero`);
  const fits = size / resolution <= MAX_IMAGE_CM;
  reader.require(fits, 'IMAGE_TOO_LARGE', at, `At this ${what} the image is more than ${MAX_IMAGE_CM} cm long`);
  if (size / resolution < MIN_IMAGE_CM) notice('IMAGE_TOO_SMALL', at);
  if (resolution < MIN_USUAL_RESOLUTION || resolution > MAX_USUAL_RESOLUTION) notice('RESOLUTION_UNLIKELY', at);
  return resolution;
}

function readView(
  reader: ByteReader,
  frame: AreaFrame,
  viewIndex: number,
  recordEnd: number | undefined,
  notice: Notice,
): { readonly view: FingerView; readonly hasBlock: boolean } {
  const position = reader.u8('finger position');
  reader.require(position <= 10, 'FINGER_POSITION_INVALID', reader.offset - 1, 'The finger position is not 0 to 10');
  const numberAndImpression = reader.u8('impression type');
  const impressionType = numberAndImpression & 15;
  const known = IMPRESSION_TYPES.has(impressionType);
  reader.require(known, 'IMPRESSION_TYPE_INVALID', reader.offset - 1, 'The impression type is not one of the standard');
  const statedQuality = reader.u8('finger quality');
  const isUnstated = UNSTATED_QUALITIES.has(statedQuality);
  if (isUnstated) notice('QUALITY_NOT_STATED', reader.offset - 1, viewIndex);
  const quality = isUnstated ? 0 : statedQuality;
  reader.require(quality <= 100, 'QUALITY_INVALID', reader.offset - 1, 'The finger quality is above 100');
  const count = reader.u8('number of minutiae');
  const minutiae = Array.from({ length: count }, () => readMinutia(reader, frame, viewIndex, notice));
  const { areas, isThere } = readExtendedBlock(reader, { frame, minutiae, viewIndex, recordEnd }, notice);
  const viewNumber = numberAndImpression >> 4;
  const view = { position: position as FingerPosition, viewNumber, impressionType, quality, minutiae };
  return { view: { ...view, extendedData: areas }, hasBlock: isThere };
}

function readMinutia(reader: ByteReader, frame: AreaFrame, viewIndex: number, notice: Notice): RecordMinutia {
  const at = reader.offset;
  const typeAndX = reader.u16('minutia');
  const type = typeAndX >> 14;
  reader.require(type !== 3, 'MINUTIA_TYPE_INVALID', at, 'The minutia type is not one of the standard');
  const x = typeAndX & COORDINATE_MASK;
  reader.require(x <= frame.imageWidth, 'MINUTIA_OUTSIDE_IMAGE', at, 'The minutia lies to the right of the image');
  const reservedAndY = reader.u16('minutia');
  reader.require(
    reservedAndY >> 14 === 0,
    'RESERVED_NOT_ZERO',
    at + 2,
    'The reserved bits of the minutia are not zero',
  );
  const y = reservedAndY & COORDINATE_MASK;
  reader.require(y <= frame.imageHeight, 'MINUTIA_OUTSIDE_IMAGE', at + 2, 'The minutia lies below the image');
  if (x === frame.imageWidth) notice('COUNTED_FROM_ONE', at, viewIndex);
  if (y === frame.imageHeight) notice('COUNTED_FROM_ONE', at + 2, viewIndex);
  const angle = reader.u8('minutia');
  reader.require(angle < frame.angleUnitsPerTurn, 'ANGLE_INVALID', at + 4, 'The minutia angle is a full turn or more');
  const quality = reader.u8('minutia');
  reader.require(quality <= 100, 'QUALITY_INVALID', at + 5, 'The minutia quality is above 100');
  return { type: type as MinutiaType, x, y, angle, quality };
}

/** Bytes that `writeBody` needs. */
export function bodyLength(record: FingerMinutiaeRecord): number {
  const views = record.views.map(
    ({ minutiae, extendedData }) => 6 + MINUTIA_BYTES * minutiae.length + extendedLength(extendedData),
  );
  return 12 + views.reduce((sum, length) => sum + length, 0);
}

/**
 * Writes what `readBody` reads. The record must be one that `readBody` would accept: the codecs read back their output
 * to check it.
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
