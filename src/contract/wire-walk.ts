/**
 * Walks over the bytes of a request before it is decoded. A message of four megabytes can contain two million empty
 * values, and decoding would make an object of each. A message that passes decodes safely: every length fits,
 * every field has the type of the contract and occurs once, every string is UTF-8, every number is in range. The walk
 * stops at the first fault, allocates no objects, and reads at most `MAX_FIELDS` fields.
 */
import { isUtf8 } from 'node:buffer';
import { Failure } from '../failure.ts';
import { WIRE, type FieldShape, type MessageShape } from './message-shape.ts';
import { MAX_FIELDS, MAX_TEXT_BYTES } from './wire-limits.ts';

/** Maximum length of a 64-bit varint. */
const MAX_VARINT_BYTES = 10;
/** Nesting depth; the contract stays far below. */
const MAX_DEPTH = 16;
/** Separately counted fields per message; the contract stays far below. */
const MAX_SLOTS = 64;

/** Value counts of each field of the messages being walked. Walks do not interleave. */
const counts = new Uint32Array(MAX_DEPTH * MAX_SLOTS);

/**
 * @throws Failure REQUEST_UNREADABLE, TOO_MANY_VALUES, FIELD_REPEATED, TOO_MANY_FIELDS, INVALID_REQUEST, with the field
 */
export function walkMessage(shape: MessageShape, bytes: Uint8Array): void {
  new Walk(bytes).message(shape, bytes.length, 0);
}

/** Decodes a message that the walk accepts. @throws Failure as `walkMessage` */
export function readMessage<T>(shape: MessageShape, message: { decode(bytes: Buffer): T }, bytes: Buffer): T {
  walkMessage(shape, bytes);
  try {
    return message.decode(bytes);
  } catch (thrown) {
    const sentence = 'The message does not match the contract.';
    throw new Failure('invalid-argument', 'REQUEST_UNREADABLE', sentence, { cause: thrown });
  }
}

/**
 * Finds a string in a message that may be damaged, so that an error can name the message.
 * @param path - field numbers that lead to it
 * @returns undefined if it cannot be found
 */
export function findText(bytes: Uint8Array, path: readonly number[], maxBytes: number): string | undefined {
  try {
    const found = new Walk(bytes).find(path, bytes.length);
    if (found === undefined || found.length > maxBytes || !isUtf8(found)) return undefined;
    return Buffer.from(found.buffer, found.byteOffset, found.length).toString('utf8');
  } catch {
    return undefined;
  }
}

class Walk {
  readonly #bytes: Uint8Array;
  #at = 0;
  #fields = 0;
  /** The last varint read: its lower 49 bits and the bits above. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  message(shape: MessageShape, end: number, depth: number): void {
    if (depth >= MAX_DEPTH || shape.slotCount > MAX_SLOTS) throw new Error(`${shape.name} does not fit the walk`);
    const base = depth * MAX_SLOTS;
    counts.fill(0, base, base + shape.slotCount);
    while (this.#at < end) {
      this.#tag(end);
      const number = Math.floor(this.#low / 8);
      const wireType = this.#low % 8;
      const field = shape.fields[number];
      if (field === undefined) this.#skip(wireType, end);
      else this.#field(field, wireType, end, depth);
    }
  }

  find(path: readonly number[], end: number): Uint8Array | undefined {
    const [wanted, ...rest] = path;
    while (this.#at < end) {
      this.#tag(end);
      const isWanted = Math.floor(this.#low / 8) === wanted && this.#low % 8 === WIRE.bytes;
      if (!isWanted) {
        this.#skip(this.#low % 8, end);
        continue;
      }
      const length = this.#length(end);
      if (rest.length > 0) return this.find(rest, this.#at + length);
      return this.#bytes.subarray(this.#at, this.#at + length);
    }
    return undefined;
  }

  #field(field: FieldShape, wireType: number, end: number, depth: number): void {
    const slot = depth * MAX_SLOTS + field.slot;
    // Parsers must accept both packed and unpacked numbers.
    if (field.isRepeated && wireType === WIRE.bytes && field.wireType !== WIRE.bytes) {
      const packedEnd = this.#length(end) + this.#at;
      while (this.#at < packedEnd) {
        this.#count(field, slot);
        this.#value(field, field.wireType, packedEnd, depth);
      }
      return;
    }
    if (wireType !== field.wireType) throw unreadable('has another wire type than in the contract', field.name);
    this.#count(field, slot);
    this.#value(field, wireType, end, depth);
  }

  #count(field: FieldShape, slot: number): void {
    const count = (counts[slot] ?? 0) + 1;
    counts[slot] = count;
    if (count <= field.most) return;
    if (field.isRepeated) {
      throw new Failure('invalid-argument', 'TOO_MANY_VALUES', `must have at most ${field.most} values`, {
        field: field.name,
      });
    }
    const sentence = 'is set more than once, or together with a field that excludes it';
    throw new Failure('invalid-argument', 'FIELD_REPEATED', sentence, { field: field.name });
  }

  #value(field: FieldShape, wireType: number, end: number, depth: number): void {
    if (wireType === WIRE.varint) {
      this.#varint(end);
      if (field.range !== undefined) this.#requireWithin(field, field.range);
    } else if (wireType === WIRE.bytes) {
      const length = this.#length(end);
      if (field.message !== undefined) this.#inner(field, field.message, this.#at + length, depth);
      else {
        if (field.isText) this.#requireText(field, length);
        this.#at += length;
      }
    } else this.#skip(wireType, end);
  }

  #inner(field: FieldShape, message: MessageShape, end: number, depth: number): void {
    try {
      this.message(message, end, depth + 1);
    } catch (thrown) {
      if (!(thrown instanceof Failure)) throw thrown;
      const index = (counts[depth * MAX_SLOTS + field.slot] ?? 1) - 1;
      const place = field.isRepeated ? `${field.name}[${index}]` : field.name;
      // `seconds` and `nanos` are not part of the contract; the error names the timestamp field.
      throw message.name === 'google.protobuf.Timestamp' ? about(thrown, place) : thrown.within(place);
    }
  }

  #requireText(field: FieldShape, length: number): void {
    if (length > MAX_TEXT_BYTES) throw invalid(`must have at most ${MAX_TEXT_BYTES} bytes`, field.name);
    // Decoding would turn invalid bytes into replacement characters and make different texts equal.
    const text = this.#bytes.subarray(this.#at, this.#at + length);
    if (!isUtf8(text)) throw unreadable('is not UTF-8', field.name);
  }

  #requireWithin(field: FieldShape, [least, most]: readonly [number, number]): void {
    // Negative numbers are encoded in two's complement with all 64 bits.
    const high = least < 0 && this.#high >= 2 ** 14 ? this.#high - 2 ** 15 : this.#high;
    const value = high * 2 ** 49 + this.#low;
    if (value < least || value > most) throw invalid(`must be ${least} to ${most}`, field.name);
  }

  #tag(end: number): void {
    if (++this.#fields > MAX_FIELDS) {
      throw new Failure('invalid-argument', 'TOO_MANY_FIELDS', `The message has more than ${MAX_FIELDS} fields.`);
    }
    this.#varint(end);
    // Field numbers are 1 to 2^29 − 1.
    if (this.#high > 0 || this.#low < 8 || this.#low >= 2 ** 32) throw unreadable('contains an invalid field number');
  }

  /** Skips a value. */
  #skip(wireType: number, end: number): void {
    if (wireType === WIRE.varint) return this.#varint(end);
    if (wireType === WIRE.bytes) {
      const length = this.#length(end);
      this.#at += length;
      return;
    }
    // Groups are obsolete, and could be nested without limit.
    if (wireType !== WIRE.fixed64 && wireType !== WIRE.fixed32) throw unreadable('contains an unknown wire type');
    this.#at += wireType === WIRE.fixed64 ? 8 : 4;
    if (this.#at > end) throw unreadable('ends within a value');
  }

  #length(end: number): number {
    this.#varint(end);
    if (this.#high > 0 || this.#low > end - this.#at) throw unreadable('ends within a value');
    return this.#low;
  }

  #varint(end: number): void {
    this.#low = 0;
    this.#high = 0;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.#at >= end) break;
      const byte = this.#bytes[this.#at++] ?? 0;
      if (i < 7) this.#low += (byte & 127) * 2 ** (7 * i);
      else this.#high += (byte & 127) * 2 ** (7 * (i - 7));
      if (byte < 128) {
        if (this.#high >= 2 ** 15) break;
        return;
      }
    }
    throw unreadable('contains a number that does not end or has more than 64 bits');
  }
}

/** The same failure, for another field. */
function about(failure: Failure, field: string): Failure {
  const sentence = failure.reason === 'INVALID_REQUEST' ? 'must be a time in the years 1 to 9999' : failure.message;
  return new Failure(failure.kind, failure.reason, sentence, { field });
}

function invalid(sentence: string, field: string): Failure {
  return new Failure('invalid-argument', 'INVALID_REQUEST', sentence, { field });
}

function unreadable(what: string, field?: string): Failure {
  const sentence = field === undefined ? `The message does not match the contract: it ${what}.` : what;
  return new Failure('invalid-argument', 'REQUEST_UNREADABLE', sentence, field === undefined ? {} : { field });
}
