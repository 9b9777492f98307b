/**
 * Files of records for import. Each record is an EnrollRequest of the contract.
 *
 *   .ndjson, .jsonl   one JSON object a line (the JSON form of protobuf; empty lines are skipped)
 *   .binpb            messages, each after its length as a varint (protobuf's delimited form)
 */
import { open, type FileHandle } from 'node:fs/promises';
import { extname } from 'node:path';
import { Failure } from '../../failure.ts';

export type RecordFormat = 'ndjson' | 'binpb';

const FORMATS: Partial<Record<string, RecordFormat>> = { '.ndjson': 'ndjson', '.jsonl': 'ndjson', '.binpb': 'binpb' };
const LINE_FEED = 10;
/** Bytes read of a record that is too large. */
const HEAD_BYTES = 1 << 16;
/** Bytes of a length as a varint: its 28 bits exceed the limit of a record. */
const MAX_LENGTH_BYTES = 4;

/** @throws Failure RECORD_FORMAT_UNKNOWN */
export function formatOf(file: string): RecordFormat {
  const format = FORMATS[extname(file).toLowerCase()];
  if (format !== undefined) return format;
  const sentence = `${file} has none of the endings ${Object.keys(FORMATS).join(', ')}, which say how its records are written.`;
  throw new Failure('invalid-argument', 'RECORD_FORMAT_UNKNOWN', sentence);
}

/** Consecutive complete records. */
export interface RecordPiece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offsets in the file. */
  readonly start: number;
  readonly end: number;
  /** The piece is only the beginning of one record, which exceeds the limit. */
  readonly isTooLarge: boolean;
}

export interface PieceOptions {
  readonly format: RecordFormat;
  /** Offset to begin at: the end of a record. */
  readonly from: number;
  /** Offset to end at. */
  readonly size: number;
  /** Approximate size of a piece. */
  readonly pieceBytes: number;
  /** Limit of a record. */
  readonly maxRecordBytes: number;
}

/**
 * Reads a file piece by piece.
 * @throws Failure IMPORT_FILE_UNREADABLE; IMPORT_FILE_DAMAGED if the start of the next record is unknown
 */
export async function* readPieces(path: string, order: PieceOptions): AsyncGenerator<RecordPiece, void> {
  const { format, size, maxRecordBytes } = order;
  const file = await openFile(path);
  try {
    for (let start = order.from; start < size;) {
      let wanted = Math.min(order.pieceBytes, size - start);
      let bytes = await readAt(file, path, start, wanted);
      let end = lastBorder(bytes, format, start + wanted === size);
      // No record ends in the piece: read up to twice the limit of a record.
      while (end === 0 && wanted < Math.min(2 * maxRecordBytes, size - start)) {
        wanted = Math.min(2 * maxRecordBytes, 2 * wanted, size - start);
        bytes = await readAt(file, path, start, wanted);
        end = lastBorder(bytes, format, start + wanted === size);
      }
      if (end > 0) {
        yield { bytes: bytes.slice(0, end), start, end: start + end, isTooLarge: false };
        start += end;
      } else {
        const next = await endOfLarge(file, path, format, start, size);
        yield { bytes: beginningOf(bytes, format), start, end: next, isTooLarge: true };
        start = next;
      }
    }
  } finally {
    await file.close();
  }
}

/** The beginning of a record that is too large, without the length before it. */
function beginningOf(bytes: Uint8Array<ArrayBuffer>, format: RecordFormat): Uint8Array<ArrayBuffer> {
  const from = format === 'binpb' ? (lengthAt(bytes, 0)?.from ?? 0) : 0;
  return bytes.slice(from, from + HEAD_BYTES);
}

/** The records of a piece in order, including empty lines. */
export function* recordsOf(bytes: Uint8Array, format: RecordFormat): Generator<Uint8Array, void> {
  for (let at = 0; at < bytes.length;) {
    if (format === 'ndjson') {
      const feed = bytes.indexOf(LINE_FEED, at);
      const end = feed === -1 ? bytes.length : feed;
      yield bytes.subarray(at, end);
      at = end + 1;
    } else {
      const length = lengthAt(bytes, at);
      if (length === undefined) throw new Error('a piece of records does not end with a record');
      yield bytes.subarray(length.from, length.from + length.bytes);
      at = length.from + length.bytes;
    }
  }
}

/** End of the last complete record; 0 if there is none. */
function lastBorder(bytes: Uint8Array, format: RecordFormat, isLast: boolean): number {
  if (format === 'ndjson') return isLast ? bytes.length : bytes.lastIndexOf(LINE_FEED) + 1;
  let end = 0;
  for (;;) {
    const length = lengthAt(bytes, end);
    if (length === undefined || length.from + length.bytes > bytes.length) return end;
    end = length.from + length.bytes;
  }
}

/** @returns undefined if the bytes do not contain the whole length, or it is far too large */
function lengthAt(bytes: Uint8Array, at: number): { readonly bytes: number; readonly from: number } | undefined {
  let value = 0;
  for (let i = 0; i < MAX_LENGTH_BYTES && at + i < bytes.length; i++) {
    const byte = bytes[at + i];
    value |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return { bytes: value, from: at + i + 1 };
  }
  return undefined;
}

/** End of a record that exceeds the limit. */
async function endOfLarge(
  file: FileHandle,
  path: string,
  format: RecordFormat,
  start: number,
  size: number,
): Promise<number> {
  if (format === 'binpb') {
    const bytes = await readAt(file, path, start, Math.min(MAX_LENGTH_BYTES, size - start));
    const length = lengthAt(bytes, 0);
    const end = length === undefined ? Infinity : start + length.from + length.bytes;
    if (end <= size) return end;
    throw damaged(path, `the record that begins at byte ${start} does not end in it`);
  }
  const stride = 1 << 20;
  for (let at = start; at < size; at += stride) {
    const bytes = await readAt(file, path, at, Math.min(stride, size - at));
    const feed = bytes.indexOf(LINE_FEED);
    if (feed !== -1) return at + feed + 1;
  }
  return size;
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

async function readAt(file: FileHandle, path: string, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, start + done).catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    if (bytesRead === 0) throw damaged(path, 'it has become shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}

export function unreadable(path: string, cause: unknown): Failure {
  return new Failure('invalid-argument', 'IMPORT_FILE_UNREADABLE', `The file ${path} cannot be read.`, { cause });
}

function damaged(path: string, why: string): Failure {
  const sentence = `The file ${path} is damaged: ${why}. What comes before is imported.`;
  return new Failure('invalid-argument', 'IMPORT_FILE_DAMAGED', sentence);
}
