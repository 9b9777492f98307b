/**
 * The extended data block of a finger view. It is not compared, and never makes a record unreadable. Blocks in records
 * that this program writes must be sound all the same.
 */
import type { ByteReader } from './byte-reader.ts';
import type { ExtendedData, FingerMinutiaeRecord, FingerView } from './finger-minutiae-record.ts';
import type { Notice } from './sample-warnings.ts';

/** Bytes before an area's data: its type and its length. */
const AREA_HEADER_BYTES = 4;
const RIDGE_COUNTS = 1;
const CORES_AND_DELTAS = 2;
const ZONAL_QUALITY = 3;
/** First vendor type. Lower types are defined by the standard or reserved; 0 is reserved. */
const FIRST_VENDOR_TYPE = 0x100;
const COORDINATE_MASK = 0x3fff;
/** Extraction methods of ridge counts: none in particular, four neighbours, eight neighbours. */
const LAST_RIDGE_COUNT_METHOD = 2;
const RIDGE_COUNT_BYTES = 3;

/** The record's fields that determine whether an area is sound. */
export type AreaFrame = Pick<FingerMinutiaeRecord, 'imageWidth' | 'imageHeight' | 'angleUnitsPerTurn'>;

export interface ExtendedBlock {
  readonly areas: readonly ExtendedData[];
  /** Whether a block exists, readable or not. */
  readonly isThere: boolean;
}

/** Position of a block. */
export interface BlockPlace {
  readonly frame: AreaFrame;
  readonly minutiae: FingerView['minutiae'];
  readonly viewIndex: number;
  /** End of the record by its length field, for the last view and a correct field. */
  readonly recordEnd: number | undefined;
}

/**
 * Reads a block. A block with contradictory lengths is skipped. If the record's own length is right, the last block
 * ends with the record, whatever the block's length states.
 */
export function readExtendedBlock(reader: ByteReader, place: BlockPlace, notice: Notice): ExtendedBlock {
  const at = reader.offset;
  const stated = reader.u16('extended data length');
  const start = reader.offset;
  const left = place.recordEnd === undefined ? stated : place.recordEnd - start;
  if (left !== stated && !reader.isZeroFrom(start + stated)) {
    const areas = parseAreas(reader.peek(left));
    // Where no block is stated, only readable areas count as one.
    if (stated > 0 || areas !== undefined) {
      notice('EXTENDED_DATA_INVALID', at, place.viewIndex);
      reader.bytes(left, 'extended data');
      return { areas: areas ?? [], isThere: true };
    }
  }
  const areas = parseAreas(reader.bytes(stated, 'extended data'));
  if (areas === undefined) notice('EXTENDED_DATA_INVALID', start, place.viewIndex);
  else judgeAreas(areas, start, place, notice);
  return { areas: areas ?? [], isThere: stated > 0 };
}

function judgeAreas(areas: readonly ExtendedData[], start: number, place: BlockPlace, notice: Notice): void {
  let offset = start;
  for (const area of areas) {
    if (isReserved(area)) notice('EXTENDED_DATA_TYPE_RESERVED', offset, place.viewIndex);
    else if (!isSound(area, place, place.frame)) notice('EXTENDED_DATA_INVALID', offset, place.viewIndex);
    offset += AREA_HEADER_BYTES + area.data.length;
  }
}

function parseAreas(block: Uint8Array): ExtendedData[] | undefined {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const areas: ExtendedData[] = [];
  let at = 0;
  while (at < block.length) {
    if (at + AREA_HEADER_BYTES > block.length) return undefined;
    const length = view.getUint16(at + 2);
    if (length < AREA_HEADER_BYTES || at + length > block.length) return undefined;
    areas.push({ type: view.getUint16(at), data: block.slice(at + AREA_HEADER_BYTES, at + length) });
    at += length;
  }
  return areas;
}

export function extendedLength(areas: readonly ExtendedData[]): number {
  return areas.reduce((sum, { data }) => sum + AREA_HEADER_BYTES + data.length, 0);
}

function isReserved({ type }: ExtendedData): boolean {
  return type === 0 || (type > ZONAL_QUALITY && type < FIRST_VENDOR_TYPE);
}

/** Whether an area conforms to its record's standard (ISO/IEC 19794-2:2005 7.5, ANSI/INCITS 378-2004 6.6). */
export function isSound(area: ExtendedData, { minutiae }: Pick<FingerView, 'minutiae'>, frame: AreaFrame): boolean {
  if (isReserved(area)) return false;
  if (area.type === RIDGE_COUNTS) return areRidgeCounts(area.data, minutiae.length);
  if (area.type === CORES_AND_DELTAS) return areCoresAndDeltas(area.data, frame);
  return true;
}

function areRidgeCounts(data: Uint8Array, minutiaCount: number): boolean {
  const [method, ...counts] = data;
  if (method === undefined || method > LAST_RIDGE_COUNT_METHOD || counts.length % RIDGE_COUNT_BYTES !== 0) return false;
  // Two minutiae, counted from 1, and the ridges between them.
  return counts.every((value, i) => i % RIDGE_COUNT_BYTES === 2 || value <= minutiaCount);
}

function areCoresAndDeltas(data: Uint8Array, frame: AreaFrame): boolean {
  const isIso = frame.angleUnitsPerTurn === 256;
  const afterCores = passPoints(data, 0, isIso ? 0x3f : 0x0f, 1, frame);
  return afterCores !== undefined && passPoints(data, afterCores, 0x3f, 3, frame) === data.length;
}

/**
 * Skips points. ISO states for each point whether it has angles; INCITS states it once for all.
 * @returns the offset after them; undefined if they are not sound
 */
function passPoints(
  data: Uint8Array,
  start: number,
  countMask: number,
  angleCount: number,
  frame: AreaFrame,
): number | undefined {
  if (start >= data.length) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const head = view.getUint8(start);
  let at = start + 1;
  for (let left = head & countMask; left > 0; left--) {
    if (at + 4 > data.length) return undefined;
    const type = frame.angleUnitsPerTurn === 256 ? view.getUint8(at) >> 6 : head >> 6;
    const x = view.getUint16(at) & COORDINATE_MASK;
    const y = view.getUint16(at + 2) & COORDINATE_MASK;
    const angles = type === 1 ? angleCount : 0;
    at += 4 + angles;
    if (x >= frame.imageWidth || y >= frame.imageHeight || at > data.length) return undefined;
    if (data.subarray(at - angles, at).some((angle) => angle >= frame.angleUnitsPerTurn)) return undefined;
  }
  return at;
}
